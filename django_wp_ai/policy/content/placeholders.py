"""How a placeholder looks, and how it is found again in what a model wrote.

``[EMAIL_1]`` is what a model sees. Models change it a little, so these are found too: ``[email_1]``, ``[EMAIL 1]``,
``[EMAIL-1]``, ``[ EMAIL_1 ]``, full-width brackets and digits, and Markdown's ``\\[EMAIL\\_1\\]``. Without brackets
it is not: that might be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

LITERAL = "LITERAL"
#: What the built-in detectors hide; a host's own patterns add their names.
KINDS = ("EMAIL", "PHONE", "CARD", "IBAN", "NATIONAL_ID", LITERAL)
#: Longest name of a host's own pattern, and digits of a number: they bound what a stream may hold back.
MAX_KIND, MAX_DIGITS = 32, 6
LONGEST = MAX_KIND * 2 + MAX_DIGITS + 8

_OPEN, _CLOSE = r"[\[\uff3b\u3010]", r"[\]\uff3d\u3011]"
_GAP = r"\\?[_ -]"
OPENER = re.compile(rf"\\|{_OPEN}")


def written(kind: str, number: int) -> str:
    """The placeholder itself."""
    return f"[{kind}_{number}]"


@lru_cache(maxsize=256)
def complete(kinds: frozenset[str]) -> re.Pattern[str]:
    """Matches a whole placeholder of ``kinds``; groups ``kind`` and ``number``, or ``kind2`` and ``number2``."""
    names = "|".join(_loose(kind) for kind in sorted(kinds, key=lambda kind: (-len(kind), kind)))
    body = rf"(?P<kind{{0}}>{names}){_GAP}(?P<number{{0}}>\d{{{{1,{MAX_DIGITS}}}}})"
    plain = rf"{_OPEN} ?{body.format('')} ?{_CLOSE}"
    escaped = rf"\\\[ ?{body.format('2')} ?\\\]"
    return re.compile(f"{escaped}|{plain}", re.IGNORECASE)


@lru_cache(maxsize=256)
def unfinished(kinds: frozenset[str]) -> re.Pattern[str]:
    """Matches, at its opener, text up to the end that more text could make a placeholder of ``kinds``."""
    tail = rf"(?:\\?\Z|{_GAP}(?:\Z|\d{{1,{MAX_DIGITS}}} ?\\?\Z))"
    names = "|".join(_beginnings(_parts(kind), tail) for kind in sorted(kinds))
    return re.compile(rf"\\?\Z|\\?{_OPEN} ?(?:\Z|{names})", re.IGNORECASE)


def named(match: re.Match[str]) -> tuple[str, int]:
    """Kind and number that a match of ``complete`` names."""
    kind, number = match["kind"] or match["kind2"], match["number"] or match["number2"]
    return re.sub(r"\\?[_ -]", "_", kind).upper(), int(number)


def _parts(kind: str) -> list[str]:
    return [_GAP if character == "_" else re.escape(character) for character in kind]


def _loose(kind: str) -> str:
    return "".join(_parts(kind))


def _beginnings(parts: Iterable[str], tail: str) -> str:
    """Each beginning of ``parts`` that ends the text, or all of them and ``tail``."""
    pattern = tail
    for part in reversed(list(parts)):
        cut = r"\\?\Z|" if part == _GAP else r"\Z|"
        pattern = f"{part}(?:{cut}{pattern})"
    return pattern
