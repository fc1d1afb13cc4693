"""A plain form of text, the same whatever way it was typed, whose every character knows its place in the original.

Full-width letters and digits, digits of other scripts, decomposed accents, zero-width and direction marks, no-break
spaces and the many dashes are ways to write one thing; detectors and matchers look at this form only.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d\ufe58\ufe63")
_INVISIBLE = frozenset("\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u3164\uffa0")
#: Marks on letters of European scripts and over or around anything; in other scripts they are parts of letters.
_FREE_MARKS = (
    (0x0300, 0x036F),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x20D0, 0x20FF),
    (0x3099, 0x309A),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
)


@dataclass(frozen=True, slots=True)
class PlainForm:
    """``text`` is never longer than the original; ``starts`` and ``ends`` are empty where both are the same."""

    text: str
    starts: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` (not empty) stands in the original."""
        return (self.starts[start], self.ends[end - 1]) if self.starts else (start, end)


def plain_form(text: str) -> PlainForm:
    """Keep letter case and line breaks, make plain what is only another way of writing."""
    if text.isascii():
        return PlainForm(text)
    return _mapped(text)


def _mapped(text: str) -> PlainForm:
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    seen: dict[str, str] = {}
    for index, original in enumerate(text):
        plain = seen.get(original)
        if plain is None:
            plain = seen[original] = original if original < "\x80" else _plain_character(original)
        if plain and not is_free_mark(plain):
            out.append(plain)
            starts.append(index)
            ends.append(index + 1)
        elif plain and out:  # on the letter before it: one character with it where there is such a one
            composed = unicodedata.normalize("NFC", out[-1] + plain)
            out[-1] = composed if len(composed) == 1 else out[-1]
            ends[-1] = index + 1
    return PlainForm("".join(out), tuple(starts), tuple(ends))


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf" or character in _INVISIBLE:
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    if category == "Zs":
        return " "
    if character in _DASHES:
        return "-"
    compatible = unicodedata.normalize("NFKC", character)
    return compatible if len(compatible) == 1 else character


def is_free_mark(character: str) -> bool:
    """Is it an accent, overlay or variation mark rather than a part of a letter."""
    code = ord(character)
    return code >= 0x300 and any(low <= code <= high for low, high in _FREE_MARKS)
