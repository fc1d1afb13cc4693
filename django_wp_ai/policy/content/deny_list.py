"""Denied words and phrases: any number of them in one pass over the text.

Case, width, zero-width marks, loose accents and look-alike letters of another alphabet do not hide a term. A term is
a whole word in scripts with spaces, and stands anywhere in those without (Chinese, Japanese, Korean, Thai, Lao,
Khmer, Burmese).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache

from django_wp_ai.policy.content.plain_form import plain_form

MAX_TERM = 200
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
)
_UNSPACED += "\U00020000-\U0003ffff"
#: Vowel signs are no word characters to Python.
_SIGNS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0900-\u0dff"
_SPACED = rf"(?:[^\W{_UNSPACED}]|[{_SIGNS}])"
_START = re.compile(rf"(?<![^\W{_UNSPACED}])(?<![{_SIGNS}]){_SPACED}|[{_UNSPACED}]|[^\w\s{_SIGNS}]")
_SPACED_CHARACTER = re.compile(_SPACED)
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile(r"[a-z]")
_LOOK_ALIKE = str.maketrans("аеорсухіјѕһԁԛԝɡαορνικτυ", "aeopcyxijshdqwgaopviktu")
_KEY = 2


class DenyList:
    """Terms to be found in text; made once, read by any thread. Make it with ``deny_list``, which keeps it."""

    def __init__(self, terms: Iterable[str]) -> None:
        """Raises ValueError for a term that is empty, or longer than ``MAX_TERM``."""
        self._terms: dict[str, str] = {}
        for term in terms:
            written = canonical(term)
            if not written or len(written) > MAX_TERM:
                raise ValueError(f"A denied term has 1 to {MAX_TERM} characters; {term[:20]!r} has {len(written)}.")
            self._terms.setdefault(written, term)
        sizes: dict[str, set[int]] = {}
        for written in self._terms:
            sizes.setdefault(written[:_KEY], set()).add(len(written))
        self._sizes = {key: tuple(sorted(lengths)) for key, lengths in sizes.items()}

    def first(self, text: str) -> str | None:
        """The first denied term that the text holds, as it was configured; never a piece of the text."""
        return next(self._found(text), None)

    def all(self, text: str) -> frozenset[str]:
        """Every denied term that the text holds, as configured."""
        return frozenset(self._found(text))

    def __len__(self) -> int:
        return len(self._terms)

    def _found(self, text: str) -> Iterator[str]:
        if not self._terms:
            return
        written = canonical(text)
        for start in _START.finditer(written):
            at = start.start()
            for key in (written[at : at + _KEY], written[at]):
                for size in self._sizes.get(key, ()):
                    term = self._terms.get(written[at : at + size])
                    if term is not None and self._ends_a_word(written, at + size):
                        yield term

    @staticmethod
    def _ends_a_word(written: str, end: int) -> bool:
        inside = _SPACED_CHARACTER.match(written, end - 1)
        return not (inside and _SPACED_CHARACTER.match(written, end))


def canonical(text: str) -> str:
    """One way of writing for all that read the same."""
    plain = plain_form(unicodedata.normalize("NFKC", text)).text.casefold()
    if not plain.isascii():
        plain = _WORD.sub(_unmixed, unicodedata.normalize("NFC", plain))
    return " ".join(plain.split())


def _unmixed(word: re.Match[str]) -> str:
    """A word of Latin letters among which some are of another alphabet, in Latin letters."""
    return word[0].translate(_LOOK_ALIKE) if _LATIN.search(word[0]) else word[0]


def deny_list(terms: Iterable[str]) -> DenyList:
    """The list of these terms, made once and kept; raises what ``DenyList`` raises."""
    return _kept(tuple(terms))


@lru_cache(maxsize=128)
def _kept(terms: tuple[str, ...]) -> DenyList:
    return DenyList(terms)
