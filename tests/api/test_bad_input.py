"""Bodies that no route takes: the documented error in the family's shape, and nothing written."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.api.conftest import Site
from tests.api.refusals import BODIES, check_shape, row_counts
from tests.vendor.running import RunningVendor

DEEP = 10_000
BOMB = gzip.compress(b"0" * 20_000_000)  # 20 kB that would be 20 MB


def with_schema(schema: bytes) -> bytes:
    """A native chat that is right but for what stands in a tool's schema, where any JSON may stand."""
    return (
        b'{"prompt": "Hi", "tools": [{"type": "function", "function": {"name": "f", "parameters": ' + schema + b"}}]}"
    )


NOT_JSON = {
    "empty": b"",
    "blank": b" \r\n\t",
    "cut off": b'{"prompt": "Hi"',
    "trailing garbage": b'{"prompt": "Hi"} x',
    "two objects": b'{"prompt": "Hi"}{"prompt": "Hi"}',
    "single quotes": b"{'prompt': 'Hi'}",
    "byte order mark": b'\xef\xbb\xbf{"prompt": "Hi"}',
    "UTF-16": '{"prompt": "Hi"}'.encode("utf-16"),
    "not UTF-8": b'{"prompt": "\xff"}',
    "raw lone surrogate": b'{"prompt": "\xed\xa0\x80"}',
    "overlong slash": b'{"prompt": "\xc0\xaf"}',
    "raw NUL": b'{"prompt": "a\x00b"}',
    "NUL before": b'\x00{"prompt": "Hi"}',
    "escaped NUL": b'{"prompt": "a\\u0000b"}',
    "escaped NUL in a key": with_schema(b'{"a\\u0000b": 1}'),
    "escaped lone surrogate": b'{"prompt": "\\ud800"}',
    "escaped surrogates in the wrong order": b'{"prompt": "\\ude00\\ud83d"}',
    "escaped lone surrogate in a key": with_schema(b'{"\\udfff": 1}'),
    "duplicate key": b'{"prompt": "Hi", "prompt": "Ho"}',
    "duplicate key by escape": b'{"prompt": "Hi", "\\u0070rompt": "Ho"}',
    "duplicate key deep down": with_schema(b'{"a": {"b": 1, "b": 1}}'),
    "NaN": with_schema(b'{"default": NaN}'),
    "Infinity": with_schema(b'{"default": Infinity}'),
    "-Infinity": with_schema(b'{"default": -Infinity}'),
    "float beyond range": with_schema(b'{"default": 1e999}'),
    "integer of 5,000 digits": with_schema(b'{"default": ' + b"9" * 5000 + b"}"),
    "arrays 10,000 deep": b"[" * DEEP + b"]" * DEEP,
    "objects 10,000 deep": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "arrays 10,000 deep and open": b"[" * DEEP,
    "65 deep": with_schema(b'{"default": ' + b"[" * 60 + b"]" * 60 + b"}"),  # in an object five deep
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_strict_json_is_refused(site: Site, vendor: RunningVendor, body: bytes) -> None:
    before = row_counts()
    for path in BODIES:
        check_shape(site.post(path, body), path, 422, "invalid")

    assert row_counts() == before
    assert not vendor.requests


@pytest.mark.parametrize("body", [b"null", b"true", b"5", b'"text"', b"[]", b'[{"prompt": "Hi"}]', b"{}"])
def test_json_that_is_no_call_is_refused(site: Site, vendor: RunningVendor, body: bytes) -> None:
    before = row_counts()
    for path in BODIES:
        if path != "v1/stream-tokens" or body != b"{}":
            check_shape(site.post(path, body), path, 422, "invalid")

    assert row_counts() == before
    assert not vendor.requests


def test_a_schema_without_such_a_flaw_is_taken(site: Site) -> None:
    assert site.post("v1/chat", with_schema(b'{"default": [1.5e300, 123]}')).status_code == 200


def test_a_body_of_the_allowed_depth_is_read(site: Site) -> None:
    schema: dict[str, Any] = {}
    for _ in range(58):
        schema = {"items": schema}
    body = {"prompt": "Hi", "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}]}

    assert site.post("v1/chat", body).status_code == 200


def test_an_escaped_surrogate_pair_is_a_character(site: Site, vendor: RunningVendor) -> None:
    assert site.post("v1/chat", b'{"prompt": "Hi \\ud83d\\ude00"}').status_code == 200
    assert "\N{GRINNING FACE}" in json.dumps(vendor.last.body, ensure_ascii=False)


@pytest.mark.parametrize("auth", [True, False], ids=["authenticated", "anonymous"])
def test_a_body_of_10_mb_is_refused_before_anybody_is_asked_for(site: Site, auth: bool) -> None:
    before = row_counts()
    huge = b'{"prompt": "' + b"x" * 10_000_000 + b'"}'
    for path in BODIES:
        check_shape(site.post(path, huge, headers=None if auth else {}), path, 413, "too_large")

    assert row_counts() == before


def test_a_body_of_just_the_limit_is_read_and_of_one_byte_more_is_not(site: Site) -> None:
    head, tail = b'{"model": "offline-extractive", "prompt": "', b'"}'
    fill = 256 * 1024 - len(head) - len(tail)

    assert site.post("v1/chat", head + b"x" * fill + tail).status_code == 200
    check_shape(site.post("v1/chat", head + b"x" * (fill + 1) + tail), "v1/chat", 413, "too_large")


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "x-gzip", "gzip, identity", "unknown"])
def test_an_encoded_body_is_refused_and_never_unpacked(site: Site, encoding: str) -> None:
    before = row_counts()
    headers = {**site.auth, "Content-Encoding": encoding}
    for path in BODIES:
        check_shape(site.post(path, BOMB, headers=headers), path, 415, "unsupported_media")

    assert row_counts() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/html",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "json",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
    ],
)
def test_another_content_type_is_refused(site: Site, content_type: str) -> None:
    before = row_counts()
    for path, body in BODIES.items():
        check_shape(site.post(path, body, content_type=content_type), path, 415, "unsupported_media")

    assert row_counts() == before


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=UTF-8",
        'application/json; charset="utf-8"',
        "Application/JSON",
        "",
    ],
)
def test_json_is_read_however_its_type_is_written(site: Site, content_type: str) -> None:
    assert site.post("v1/chat", BODIES["v1/chat"], content_type=content_type).status_code == 200


@pytest.mark.parametrize("declared", ["-1", "+5", "1e3", "ten", "\u0665", "0x10"])
def test_a_content_length_that_is_no_number_is_refused(site: Site, declared: str) -> None:
    response = site.post("v1/chat", {"prompt": "Hi"}, CONTENT_LENGTH=declared)
    check_shape(response, "v1/chat", 422, "invalid")


def test_a_huge_content_length_is_refused_whatever_follows(site: Site) -> None:
    response = site.post("v1/chat", {"prompt": "Hi"}, CONTENT_LENGTH="9" * 400)
    check_shape(response, "v1/chat", 413, "too_large")


def test_a_refusal_tells_nothing_of_the_body(site: Site) -> None:
    said = b'{"prompt": "my private words", "temperature": "my private words"}'
    for path in BODIES:
        assert b"my private words" not in site.post(path, said).content
