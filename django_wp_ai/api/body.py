"""Bodies: bounded, UTF-8, strict JSON. Source: PROTOCOL §2."""

from __future__ import annotations

import json
import math
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid, TooLarge, UnsupportedMedia


def read(request: HttpRequest, *, limit: int | None = None) -> bytes:
    """The whole body; raises TooLarge before more than the limit is held, UnsupportedMedia for an encoded one."""
    limit = settings.max_body_bytes if limit is None else limit
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if not declared.isascii() or not declared.isdigit():
        raise Invalid("Content-Length is not a number.")
    size = int(declared[:20])
    if size > limit:
        raise TooLarge(f"At most {limit} bytes.")
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMedia("Send the body without a Content-Encoding.")
    body = _received(request, limit + 1)
    if len(body) > limit:
        raise TooLarge(f"At most {limit} bytes.")
    if len(body) < size:
        raise Invalid("The body is shorter than its Content-Length.")
    return body


def _received(request: HttpRequest, size: int) -> bytes:
    """At most ``size`` bytes, also of a chunked body, of which Django's WSGI request reads nothing."""
    source: Any = request
    if isinstance(request, WSGIRequest) and "HTTP_TRANSFER_ENCODING" in request.META:
        source = request.META["wsgi.input"] if request.META.get("wsgi.input_terminated") else request
    try:
        received: bytes = source.read(size)
    except Exception:  # noqa: BLE001 - each server has its own errors for a body that breaks off
        raise Invalid("The body did not arrive whole.") from None
    return received


def check_media_type(request: HttpRequest) -> None:
    """Only JSON is read; a missing type counts as JSON."""
    media_type = (request.content_type or "").lower()
    if media_type and media_type != "application/json" and not media_type.endswith("+json"):
        raise UnsupportedMedia("Send application/json.")
    charset = (request.content_params or {}).get("charset", "utf-8").strip('"').lower()
    if charset not in ("utf-8", "utf8", "us-ascii"):
        raise UnsupportedMedia("Send UTF-8.")


def parse(body: bytes) -> Any:
    """Strict JSON: no duplicate keys, no NaN, no lone surrogates or NUL, bounded nesting; raises Invalid."""
    if not body.strip():
        raise Invalid("The body is empty.")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise Invalid("The body is not UTF-8.") from None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant, parse_float=_float)
    except RecursionError:
        raise Invalid(_too_deep()) from None
    except json.JSONDecodeError as error:
        raise Invalid(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    except ValueError:  # an integer of more digits than Python reads
        raise Invalid("The body has a number that is too long.") from None
    _check(value, escaped="\\u" in text)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Invalid("The body has an object with a duplicate key.")
    return found


def _constant(name: str) -> Any:
    raise Invalid(f"The body has {name}, which is not JSON.")


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Invalid("The body has a number that is too large.")
    return value


def _too_deep() -> str:
    return f"The body is nested more than {settings.max_json_depth} levels deep."


def _check(value: Any, *, escaped: bool) -> None:
    """Walk without recursion: depth always, text only where escapes may have brought in what UTF-8 can't hold."""
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, (dict, list)) or (escaped and isinstance(item, str))]:
        below: list[Any] = []
        nested = False
        for item in level:
            if isinstance(item, str):
                _check_text(item)
                continue
            nested = True
            if isinstance(item, dict):
                below.extend(item.values())
                if escaped:
                    below.extend(item.keys())
            else:
                below.extend(item)
        depth += nested
        if depth > settings.max_json_depth:
            raise Invalid(_too_deep())
        level = below


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise Invalid("The body has a NUL character.")
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise Invalid("The body has half of a surrogate pair.") from None
