"""The calls that are measured: the same question to the stand-in, to the app bare and to the app in full."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING

from tests.signing import message_signature

if TYPE_CHECKING:  # models can't be imported before Django is set up
    from django_wp_ai.security.issue import Issued

CHUNKS = 20
DELTAS = (b"tok1 ", b"tok2 ")  # what the stand-in's first deltas say
FIRST = b"tok1"
_number = count()

Request = Callable[[], bytes]


def http(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """A request as it goes over the wire."""
    fields = {"Host": "127.0.0.1", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _messages(pace: str) -> list[dict[str, str]]:
    """No two questions are the same, so that no cache can answer."""
    return [{"role": "user", "content": f"Question {next(_number)}. [[chunks={CHUNKS} {pace}]]"}]


def live() -> bytes:
    """The app's cheapest route."""
    return http("GET", "/wp-ai/health/live", {})


def direct(*, stream: bool, pace: str = "", key: str = "vendor-key") -> Request:
    """In OpenAI's wire: to the vendor, or to a gateway that speaks it."""
    options = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}

    def request() -> bytes:
        body = json.dumps({"model": "gpt-4o-mini", "messages": _messages(pace), "max_tokens": 500, **options}).encode()
        return http("POST", "/v1/chat/completions", {"Authorization": f"Bearer {key}"}, body)

    return request


def _body(*, stream: bool, pace: str) -> bytes:
    return json.dumps({"messages": _messages(pace), "max_tokens": 500, "stream": stream}).encode()


def bare(*, stream: bool, pace: str = "") -> Request:
    """Through the app without proof, limits and ledger."""
    return lambda: http("POST", "/bare/chat", {}, _body(stream=stream, pace=pace))


def full(issued: Issued, *, stream: bool, pace: str = "") -> Request:
    """Through everything, freshly signed (RFC 9421) each time."""
    path, key_id, secret = "/wp-ai/v1/chat", issued.credential.key_id, issued.secret

    def request() -> bytes:
        body = _body(stream=stream, pace=pace)
        return http("POST", path, message_signature(key_id, secret, path=path, body=body), body)

    return request


def job(issued: Issued) -> bytes:
    """A job handed in, freshly signed (RFC 9421)."""
    body = json.dumps({"kind": "chat", "input": {"messages": _messages("")}}).encode()
    path = "/wp-ai/v1/jobs"
    headers = message_signature(issued.credential.key_id, issued.secret, path=path, body=body)
    return http("POST", path, headers, body)
