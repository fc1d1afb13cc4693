"""Reading and parsing a body, apart from any route."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st

from django_wp_ai.api import body
from django_wp_ai.exceptions import Invalid, TooLarge

LIMIT = 256 * 1024


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for key, inner in value.items() for text in (key, *texts(inner))]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list) else []


@given(values, st.booleans())
def test_what_python_writes_is_read_again_unless_it_holds_a_nul(value: Any, escaped: bool) -> None:
    raw = json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")
    if any("\x00" in text for text in texts(value)):
        with pytest.raises(Invalid):
            body.parse(raw)
    else:
        assert body.parse(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_parsed_or_refused_and_nothing_else(raw: bytes) -> None:
    with contextlib.suppress(Invalid):
        body.parse(raw)


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_counts_lists_and_objects_alike(brackets: str) -> None:
    def nested(levels: int) -> bytes:
        inner = "[" * levels + "]" * levels if brackets == "[]" else '{"a":' * (levels - 1) + "{}" + "}" * (levels - 1)
        return inner.encode()

    assert depth_of(body.parse(nested(64))) == 64
    with pytest.raises(Invalid, match="64 levels"):
        body.parse(nested(65))


def request(raw: bytes, **meta: Any) -> WSGIRequest:
    made: WSGIRequest = RequestFactory().generic("POST", "/", raw, "application/json", **meta)
    return made


class Broken(io.BytesIO):
    def read(self, *_: Any) -> bytes:
        raise OSError("the client is gone")


def test_a_body_that_is_shorter_than_it_said_is_refused() -> None:
    made = request(b"{}")
    made.META["CONTENT_LENGTH"] = "3"
    with pytest.raises(Invalid, match="shorter"):
        body.read(made)


def test_a_body_that_breaks_off_is_refused() -> None:
    made = request(b"{}")
    made._stream = Broken()  # what a server's input does when the client leaves
    with pytest.raises(Invalid, match="whole"):
        body.read(made)


def chunked(raw: bytes, *, terminated: bool = True) -> WSGIRequest:
    """As gunicorn hands over a body without a length."""
    made = request(b"")
    made.META.update({"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO(raw)})
    made.META["wsgi.input_terminated"] = terminated
    return made


def test_a_chunked_body_is_read_where_the_server_ends_it() -> None:
    assert body.read(chunked(b'{"a": 1}')) == b'{"a": 1}'
    assert body.read(chunked(b'{"a": 1}', terminated=False)) == b""  # reading might never end
    with pytest.raises(TooLarge):
        body.read(chunked(b"x" * (LIMIT + 1)))
