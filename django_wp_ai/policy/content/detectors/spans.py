"""What a detector returns, and which of several that overlap is taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """``text[start:end]`` is a ``kind``; a higher ``rank`` is more specific."""

    start: int
    end: int
    kind: str
    rank: int = 0


def chosen(spans: Iterable[Span]) -> list[Span]:
    """The longest of those that overlap, of equal ones the most specific; in the order of the text."""
    by_worth = sorted(set(spans), key=lambda span: (span.start - span.end, -span.rank, span.start))
    if not by_worth:
        return []
    taken = bytearray(max(span.end for span in by_worth))
    kept = []
    for span in by_worth:
        # Equal or longer ones come first, so whatever covers a part of this one covers one of its ends.
        if not taken[span.start] and not taken[span.end - 1]:
            taken[span.start : span.end] = b"\x01" * (span.end - span.start)
            kept.append(span)
    return sorted(kept)
