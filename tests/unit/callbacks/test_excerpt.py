"""What is kept of a reply: little, readable, without secrets and without the message."""

from __future__ import annotations

import base64
import json
import secrets
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_wp_ai.callbacks.excerpt import MASK, MAX_CHARS, excerpt

TOLD = json.dumps({"data": {"result": {"content": "The quick brown fox jumps over the lazy dog"}}}).encode()


def kept(reply: str | bytes, *, message: bytes = TOLD, secrets: Any = ()) -> str:
    return excerpt(reply.encode() if isinstance(reply, str) else reply, message=message, secrets=secrets)


@pytest.mark.parametrize(
    "reply",
    [
        '{"ok": true}',
        "Bad Gateway",
        '{"code":"rest_no_route","message":"No route was found matching the URL and request method."}',
        "PHP Fatal error: Uncaught Error: Call to undefined function hook()",
        "",
    ],
)
def test_an_ordinary_reply_is_kept_as_it_is(reply: str) -> None:
    assert kept(reply) == reply


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("key wpai_abcdef_0123456789abcdefghijklmnop bad", f"key {MASK} bad"),
        ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", MASK),
        ("Authorization: Bearer abc.def", f"Authorization: {MASK}"),
        ("authorization: basic dXNlcjpwYXNz", f"authorization: {MASK}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl", MASK),
        ("sk-proj-abcdefghijkl", MASK),
        ("abcd 1234 efgh 5678 ijkl 9012", MASK),
        (f"hash {'0a' * 32} end", f"hash {MASK} end"),
        (f"sig {base64.b64encode(bytes(range(32))).decode()} end", f"sig {MASK} end"),
        ("one\x00two\x1b[31mthree\u202efour\r\nfive\tsix", "one two [31mthree four five six"),
        (b"caf\xe9 \xff", "caf\ufffd \ufffd"),
    ],
)
def test_secrets_and_control_characters_are_not_kept(reply: Any, expected: str) -> None:
    assert kept(reply) == expected


def test_the_secrets_of_the_attempt_are_masked_whatever_they_look_like() -> None:
    assert kept("<p>no: horse battery</p>", secrets=("horse battery",)) == f"<p>no: {MASK}</p>"


@pytest.mark.parametrize(
    "reply",
    [
        "got: The quick brown fox jumps over the lazy dog!",
        "GOT: THE QUICK  BROWN\nFOX jumps",
        "&quot;quick &amp; brown fox&quot; jumps over",
        json.dumps(TOLD.decode()),
        "".join(f"\\u{ord(char):04x}" for char in "The quick brown fox"),
    ],
)
def test_what_repeats_the_message_is_masked(reply: str) -> None:
    found = kept(reply)
    assert MASK in found
    assert "quick" not in found.lower()


def test_it_is_at_most_500_characters() -> None:
    assert len(kept("no " * 1000)) == MAX_CHARS


@given(st.binary(max_size=3000), st.binary(max_size=300))
def test_anything_can_be_kept(reply: bytes, message: bytes) -> None:
    found = kept(reply, message=message, secrets=("s3cret",))
    assert len(found) <= MAX_CHARS
    assert found == "" or found.isprintable()
    assert "s3cret" not in found


@given(st.text(string.ascii_letters, min_size=12, max_size=40), st.text(max_size=100), st.text(max_size=100))
def test_no_twelve_letters_of_the_message_are_left(word: str, before: str, after: str) -> None:
    assert word not in kept(f"{before}{word}{after}", message=word.encode())


def test_a_random_key_is_masked_wherever_it_stands() -> None:
    without_a_digit = "CerUhvxwACzxyBNRlXLYeiNiIqWkZtGmPo"
    for key in (without_a_digit, *(secrets.token_urlsafe(32) for _ in range(200))):
        assert key not in kept(f"see '{key}'")
