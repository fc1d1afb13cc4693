"""Finding in a passage the words that an answer claims to have from it."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Final

from django_wp_ai.rag.answer import comparing
from django_wp_ai.rag.answer.comparing import Comparable, comparable

LEAST_WORDS: Final = 3
LEAST_WEIGHT: Final = 12  # letters; of a quote that has a figure, fewer do
LEAST_WEIGHT_OF_FIGURES: Final = 3
#: Words in a row that a sentence must share with a passage to be taken as said there.
SHARED_WORDS: Final = 4
SHARED_WEIGHT: Final = 16
_ELISION = re.compile(r"\s*[\[(]?(?:\.{3}|…)[\])]?\s*")
_EDGES = " .,;:!?'-()[]"


class Passage:
    """A text that quotes are looked for in; made comparable when it is first needed."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def _comparable(self) -> Comparable:
        return comparable(self.text)

    def quoted(self, quote: str) -> str | None:
        """The quote as it stands in the passage; None where it doesn't, or says too little to be one.

        Of a quote with words left out (``…``) every part must be there, in their order; the longest is what is given.
        """
        parts = [part for piece in _ELISION.split(quote) if (part := comparable(piece).text.strip(_EDGES))]
        if not _tells(" ".join(parts)):
            return None
        found: list[tuple[int, int]] = []
        at = 0
        for part in parts:
            place = self._place(part, at)
            if place is None:
                return None
            found.append(place)
            at = place[1]
        return self._original(*max(found, key=lambda place: place[1] - place[0]))

    def shared(self, sentence: str) -> str | None:
        """The longest run of words that a sentence has in common with the passage, where it is long enough to tell."""
        text = comparable(sentence).text
        spans = comparing.words(text)
        best: tuple[int, int] | None = None
        length = 0
        for first in range(len(spans)):
            # Only what is longer than the longest so far is of interest.
            while first + length < len(spans):
                place = self._place(text[spans[first][0] : spans[first + length][1]], 0)
                if place is None:
                    break
                best, length = place, length + 1
        if best is None:
            return None
        run = self._comparable.text[best[0] : best[1]]
        is_all = length == len(spans) and _tells(run)
        enough = length >= SHARED_WORDS and comparing.weight(run) >= SHARED_WEIGHT
        return self._original(*best) if is_all or enough else None

    def _place(self, part: str, at: int) -> tuple[int, int] | None:
        text = self._comparable.text
        while (start := text.find(part, at)) >= 0:
            if comparing.stands_alone(text, start, start + len(part)):
                return start, start + len(part)
            at = start + 1
        return None

    def _original(self, start: int, end: int) -> str:
        places = self._comparable
        return comparing.whole_markup(self.text, places.starts[start], places.ends[end - 1])


def _tells(part: str) -> bool:
    weight = comparing.weight(part)
    if any(character.isdigit() for character in part) and weight >= LEAST_WEIGHT_OF_FIGURES:
        return True
    return weight >= LEAST_WEIGHT or len(comparing.words(part)) >= LEAST_WORDS
