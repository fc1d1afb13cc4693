"""E-mail addresses: found at their at sign and read outwards, so hostile text costs no more than any other.

Not RFC 5322 whole: comments, and the characters of a local part that stand beside addresses far more often than in
them (``=``, ``&``, ``/``), are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from django_wp_ai.policy.content.detectors.spans import Span

_AT = re.compile(r"@|%40")
#: A script without spaces may touch an address; a part that begins in Latin letters ends with them.
_LATIN = r"A-Za-z0-9\u00c0-\u024f\u1e00-\u1eff"
_LOCAL_REVERSED = re.compile(rf"[{_LATIN}_+-][{_LATIN}_.+'%~-]{{0,63}}|[\w+-][\w.+'~-]{{0,63}}")
_QUOTED_REVERSED = re.compile(r'"[^"\r\n]{1,62}"')
_LABEL = rf"(?:[{_LATIN}](?:[{_LATIN}-]{{0,61}}[{_LATIN}])?|[^\W_{_LATIN}](?:[^\W_]{{0,61}})?)"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{1,9}}|\[(?:\d{{1,3}}\.){{3}}\d{{1,3}}\]")
_TOP_LEVEL = re.compile(r"(?:xn--[a-z0-9-]{2,59}|[^\W\d_]{2,63})\Z", re.IGNORECASE)
#: File names such as logo@2x.png look like addresses.
_FILES = frozenset(
    ["png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "css", "js", "mjs", "ts", "json", "html", "php"]
)
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_WINDOW = 65


def find(text: str) -> Iterator[Span]:
    """Each address; its local part has at most 64 characters."""
    end_of_last = 0
    for at in _AT.finditer(text):
        start = _start(text, at, end_of_last)
        end = _end(text, at.end())
        if start is not None and end is not None:
            end_of_last = end
            yield Span(start, end, "EMAIL", 3)


def _start(text: str, at: re.Match[str], floor: int) -> int | None:
    before = text[max(floor, at.start() - _WINDOW) : at.start()][::-1]
    match = _QUOTED_REVERSED.match(before) or _LOCAL_REVERSED.match(before)
    if match is None:
        return None
    local = match[0][::-1]
    if len(local) == _WINDOW - 1 and len(before) == _WINDOW and _LOCAL_REVERSED.match(before[-1]):
        return None  # too long to be a local part
    if at[0] != "@":
        local = _ESCAPE.split(local)[-1]  # the name alone of mailto%3Aname%40…
    trimmed = local if local.startswith('"') else local.lstrip(".'%~+-")
    return at.start() - len(trimmed) if trimmed else None


def _end(text: str, start: int) -> int | None:
    match = _DOMAIN.match(text, start)
    if match is None:
        return None
    domain = match[0]
    while not domain.startswith("[") and not _TOP_LEVEL.match(domain.rpartition(".")[2]):
        domain = domain.rpartition(".")[0]
        if "." not in domain:
            return None
    return None if domain.rpartition(".")[2].lower() in _FILES else start + len(domain)
