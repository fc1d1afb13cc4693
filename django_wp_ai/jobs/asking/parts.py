"""Cutting a long text into parts that a model reads in one call."""

from __future__ import annotations

import re
from typing import Final

from django_wp_ai.models import Tenant

#: About 8,000 tokens at 4 bytes a token, and in no language more than 32,000: every model in use reads as much.
PART_BYTES: Final = 32_000
LEAST_BYTES: Final = 1000
PROMPT_TOKENS: Final = 400  # what stands around the text
_BREAKS = tuple(re.compile(mark) for mark in (r"\n\s*\n", r"\n", r"[.!?…]\s|[\u3002\uff01\uff1f]", r"\s"))


def bound(tenant: Tenant) -> int:
    """Bytes of one part: less where the tenant gives the route ``jobs`` fewer input tokens."""
    ceiling = tenant.routes.get("jobs", {}).get("max_input_tokens")
    if ceiling is None:
        return PART_BYTES
    return max(LEAST_BYTES, min(PART_BYTES, (int(ceiling) - PROMPT_TOKENS) * 4))


def cut(text: str, *, most: int) -> list[str]:
    """Parts of at most ``most`` bytes, ended where a paragraph, a line, a sentence or at least a word ends.

    Joined they are the text, but for blanks at the seams.
    """
    parts: list[str] = []
    start = 0
    while start < len(text):
        end = start + len(text[start : start + most].encode("utf-8", "replace")[:most].decode("utf-8", "ignore"))
        if end < len(text):
            end = _seam(text, start, end)
        if part := text[start:end].strip():
            parts.append(part)
        start = end
    return parts


def _seam(text: str, start: int, end: int) -> int:
    """The last break in the second half of what fits; the cut itself where there is none."""
    middle = (start + end) // 2
    for mark in _BREAKS:
        if breaks := [found.end() for found in mark.finditer(text, middle, end)]:
            return breaks[-1]
    return end
