"""The published vectors verify, and stop to when one byte of anything signed is another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security import legacy, message_signatures, webhook_signatures
from django_wp_ai.security.envelope import Envelope
from tests.signing import LEGACY_PROFILES, legacy_signature, message_signature

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "signatures.json").read_text(encoding="utf-8")
)
FLIPS = (0x01, 0x20)  # another character, and where there is one the other case


def vectors(*profiles: str) -> Any:
    chosen = [vector for vector in VECTORS if vector["profile"] in profiles]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[f"{v['profile']}-{v['name']}" for v in chosen])


def request(vector: dict[str, Any]) -> Envelope:
    return Envelope(
        method=vector.get("method", "POST"),
        path=vector.get("path", "/wp-ai/v1/chat"),
        query=vector.get("query", ""),
        headers={name.lower(): value for name, value in vector["headers"].items()},
        body=(vector["body"] or "").encode(),
    )


def changed_texts(text: str) -> Iterator[str]:
    for position, character in enumerate(text):
        for flip in FLIPS:
            yield text[:position] + chr(ord(character) ^ flip) + text[position + 1 :]
        yield text[:position] + text[position + 1 :]
    yield text + "a"


def changed_bytes(body: bytes) -> Iterator[bytes]:
    for position, byte in enumerate(body):
        yield body[:position] + bytes([byte ^ 0x01]) + body[position + 1 :]
        yield body[:position] + body[position + 1 :]
    yield body + b" "


def altered(envelope: Envelope, *, parts: tuple[str, ...], headers: tuple[str, ...]) -> Iterator[Envelope]:
    """The envelope with one byte of one part or header changed, at every position."""
    whole = {name: getattr(envelope, name) for name in ("method", "path", "query", "headers", "body")}
    for body in changed_bytes(envelope.body):
        yield Envelope(**{**whole, "body": body})
    for part in parts:
        for text in changed_texts(whole[part]):
            yield Envelope(**{**whole, part: text})
    for name in headers:
        for text in changed_texts(envelope.headers[name]):
            yield Envelope(**{**whole, "headers": {**envelope.headers, name: text}})


def verify_message(envelope: Envelope, vector: dict[str, Any]) -> None:
    message_signatures.verify(
        envelope,
        message_signatures.parse(envelope),
        vector["secret"].encode(),
        now=vector["created"],
        window_s=30,
    )


@vectors("rfc9421")
def test_a_message_signature_of_the_vectors_verifies(vector: dict[str, Any]) -> None:
    envelope = request(vector)
    verify_message(envelope, vector)
    base = message_signatures.signature_base(envelope, message_signatures.parse(envelope))
    assert base.decode() == vector["signature_base"]


@vectors("rfc9421")
def test_a_message_signature_fails_when_one_byte_is_another(vector: dict[str, Any]) -> None:
    envelope = request(vector)
    headers = tuple(envelope.headers)
    for other in altered(envelope, parts=("method", "path", "query"), headers=headers):
        with pytest.raises(Unauthenticated):
            verify_message(other, vector)


@vectors("rfc9421")
def test_our_test_client_signs_messages_as_the_vectors_do(vector: dict[str, Any]) -> None:
    signed = message_signature(
        "site-1",
        vector["secret"],
        method=vector["method"],
        path=vector["path"],
        query=vector["query"],
        body=(vector["body"] or "").encode(),
        created=vector["created"],
        nonce="n-5f1d",
    )
    assert signed == vector["headers"]


SIGNED_HEADERS = {
    "wp-signature": ("x-wp-signature",),
    "ai-signature": ("x-ai-signature",),
    "ai-signature-timestamp": ("x-ai-signature",),  # this contract leaves its timestamp unsigned
    "timestamp-dot-body": ("x-signature", "x-timestamp"),
    "site-id": ("x-signature", "x-timestamp"),
    "x-sig": ("x-sig",),
    "x-sign": ("x-sign",),
    "x-aisig": ("x-aisig",),
}


@vectors(*LEGACY_PROFILES)
def test_a_legacy_signature_of_the_vectors_verifies(vector: dict[str, Any]) -> None:
    envelope = request(vector)
    profile = legacy.detect(envelope)
    assert profile is not None
    assert profile.name == vector["profile"]
    assert profile.matches(envelope, vector["secret"].encode())
    profile.check_freshness(envelope, now=vector["timestamp"])


@vectors(*LEGACY_PROFILES)
def test_a_legacy_signature_fails_when_one_byte_is_another(vector: dict[str, Any]) -> None:
    envelope, profile = request(vector), legacy.PROFILES[vector["profile"]]
    for other in altered(envelope, parts=(), headers=SIGNED_HEADERS[profile.name]):
        assert not profile.matches(other, vector["secret"].encode())


@vectors(*LEGACY_PROFILES)
def test_our_test_client_signs_legacy_calls_as_the_vectors_do(vector: dict[str, Any]) -> None:
    made = legacy_signature(vector["profile"], vector["secret"], vector["body"].encode(), timestamp=vector["timestamp"])
    assert {**made, "X-Client-Request-ID": "req-1"} == {**vector["headers"], "X-Client-Request-ID": "req-1"}


@vectors("standard-webhooks")
def test_a_webhook_of_the_vectors_verifies_and_is_what_we_sign(vector: dict[str, Any]) -> None:
    body, headers = vector["body"].encode(), vector["headers"]
    webhook_signatures.verify(body, [vector["secret"]], headers, now=vector["timestamp"])
    made = webhook_signatures.sign(body, [vector["secret"]], message_id="msg_2b", timestamp=vector["timestamp"])
    assert made == headers


@vectors("standard-webhooks")
def test_a_webhook_fails_when_one_byte_is_another(vector: dict[str, Any]) -> None:
    for other in altered(request(vector), parts=(), headers=tuple(vector["headers"])):
        with pytest.raises(Unauthenticated):
            webhook_signatures.verify(other.body, [vector["secret"]], other.headers, now=vector["timestamp"])
