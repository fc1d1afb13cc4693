"""Where a text may be cut: after sentences, else between words, else between characters as readers see them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Each alternative begins where only one character can stand before it, so a run of marks or blanks is read once.
_CLOSERS = r"""["'\u2019\u201d\u00bb)\]*_]"""
_SENTENCE_END = re.compile(
    rf"(?:(?<=[.!?\u2026\u061f\u06d4\u0964])|(?<=[.!?\u2026\u061f\u06d4\u0964]{_CLOSERS}))"
    r"(?<!\b[^\W\d_]\.)(?<!\d\.)\s++(?![a-z])"
    r"|(?<=[\u3002\uff01\uff1f\uff61])(?![\u3002\uff01\uff1f\uff61\u300d\u300f\uff09\u201d\s])"
    r"|(?<=[\u3002\uff01\uff1f\uff61][\u300d\u300f\uff09\u201d])(?![\u3002\uff01\uff1f\uff61\u300d\u300f\uff09\u201d\s])"
)
MAX_CLUSTER_CHARS = 16  # a longer pile of marks is cut where it is
_JOINERS = frozenset("\u200d\u034f\u2060")
_THAI_LEADING = frozenset("\u0e40\u0e41\u0e42\u0e43\u0e44\u0ec0\u0ec1\u0ec2\u0ec3\u0ec4")
_THAI_FOLLOWING = frozenset("\u0e30\u0e32\u0e33\u0e45\u0eb0\u0eb2\u0eb3")


def sentence_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The sentences of a part of the text with the blanks behind them; together they are the part."""
    begin = start
    for found in _SENTENCE_END.finditer(text, start, end):
        if begin < found.end() < end:
            yield begin, found.end()
            begin = found.end()
    if begin < end:
        yield begin, end


def seam(text: str, start: int, end: int) -> int:
    """The best place to cut at or before ``end``: behind a blank in the second half, else between two characters."""
    middle = (start + end) // 2
    for position in range(end, middle, -1):
        if text[position - 1].isspace() and not text[position : position + 1].isspace():
            return position
    for position in range(end, max(start, end - MAX_CLUSTER_CHARS), -1):
        if not _belongs_together(text[position - 1 : position + 1]):
            return position
    return end


def _belongs_together(pair: str) -> bool:
    if len(pair) < 2:
        return False
    before, after = pair[0], pair[1]
    return (
        unicodedata.category(after).startswith("M")
        or before in _JOINERS
        or after in _JOINERS
        or after in _THAI_FOLLOWING
        or before in _THAI_LEADING
        or pair == "\r\n"
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")  # flags
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")  # an emoji that was decoded in halves
    )
