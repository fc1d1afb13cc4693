"""Words and sentences of any text: what the offline provider works with instead of a language model."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import log, log1p

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts without blanks: each character is a word
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+(?:['\u2019][^\W_]+)?")
_BLOCK_TAG = re.compile(
    r"<(?:!--|/?(?:p|div|li|ul|ol|h[1-6]|br|hr|tr|td|th|table|blockquote|pre|section)\b)[^<>]{0,500}>", re.IGNORECASE
)
_INLINE_TAG = re.compile(r"</?[a-z][^<>]{0,500}>", re.IGNORECASE)
_BREAK = re.compile(r"(?<=[.!?…])[\"')\]”]*\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_MARKER = re.compile(r"\[(\d{1,3})\]\s*")
_BULLET = re.compile(r"^(?:[-*•#>]+|\d{1,3}[.)])\s+")
MAX_SENTENCE_WORDS = 60
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about all also am an and any are as at be been but by can could did do does for from had has have how i if in
        into is it its just me my no not of on or our please should so some such tell than that the their them then
        there these they this to up us was we were what when where which who why will with would you your
        """,
    )
)


QUESTION_MARKS = ("?", "\uff1f", "\u061f")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence with its words; ``marker`` is the number of the source (``[3] …``) it stood under."""

    text: str
    words: tuple[str, ...]
    marker: str = ""


def words(text: str) -> list[str]:
    """The lower-case words of a text, plurals in s trimmed."""
    return [_stem(word) for word in _WORD.findall(text.lower())]


def content_words(text: str) -> list[str]:
    """``words`` without those that carry no subject."""
    return [word for word in words(text) if word not in STOP_WORDS]


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


def sentences(text: str) -> list[Sentence]:
    """The sentences of plain text, Markdown or HTML, without markup."""
    found: list[Sentence] = []
    marker = ""
    for piece in _BREAK.split(html.unescape(_INLINE_TAG.sub("", _BLOCK_TAG.sub("\n", text)))):
        line = _BULLET.sub("", (piece or "").strip())
        if match := _MARKER.match(line):
            marker = match[1]
            line = line[match.end() :]
        parts = line.split()
        for start in range(0, len(parts), MAX_SENTENCE_WORDS):
            run = " ".join(parts[start : start + MAX_SENTENCE_WORDS])
            if said := content_words(run):
                found.append(Sentence(run, tuple(said), marker))
    return found


def relevant(question: Iterable[str], among: Sequence[Sentence], *, limit: int) -> list[Sentence]:
    """The sentences that say most about the question's words (rare words weigh more), in their own order."""
    wanted = set(question)
    weight = _weights(among)
    scored = [
        (sum(weight[word] for word in wanted.intersection(sentence.words)) / (4 + log1p(len(sentence.words))), position)
        for position, sentence in enumerate(among)
    ]
    best = sorted((-score, position) for score, position in scored if score > 0)
    if not best:
        return []
    floor = best[0][0] / 2  # a sentence with half the best score is on another subject
    return [among[position] for position in sorted(position for score, position in best[:limit] if score <= floor)]


def central(among: Sequence[Sentence], *, limit: int) -> list[Sentence]:
    """The sentences that stand for the whole text: those of its most frequent words, in their own order."""
    return [among[position] for position in sorted(_by_centrality(among)[:limit])]


def brief(among: Sequence[Sentence], *, limit: int) -> list[str]:
    """Central sentences of at most ``limit`` words together, in their own order; of one that alone is longer, a part.

    A character of a script without blanks is a word.
    """
    chosen: list[int] = []
    left = limit
    for position in _by_centrality(among):
        size = len(_WORD.findall(among[position].text))
        if size <= left:
            chosen.append(position)
            left -= size
    if not chosen and among:
        found = list(_WORD.finditer(among[0].text))[:limit]
        return [f"{among[0].text[: found[-1].end()]} …"] if found else []
    return [among[position].text for position in sorted(chosen)]


def _by_centrality(among: Sequence[Sentence]) -> list[int]:
    counts = Counter(word for sentence in among for word in set(sentence.words))
    scored = sorted(
        (-sum(log1p(counts[word]) for word in set(sentence.words)) / (4 + log1p(len(sentence.words))), position)
        for position, sentence in enumerate(among)
    )
    return [position for _, position in scored]


def keywords(text: str, *, limit: int) -> list[str]:
    """The words that a text uses most, then longest first."""
    counts = Counter(word for word in _WORD.findall(text.lower()) if _stem(word) not in STOP_WORDS and len(word) > 2)
    return sorted(counts, key=lambda word: (-counts[word], -len(word), word))[:limit]


def _weights(among: Sequence[Sentence]) -> dict[str, float]:
    """Inverse document frequency of each word, a sentence being a document."""
    counts = Counter(word for sentence in among for word in set(sentence.words))
    return {word: log(1 + len(among) / count) for word, count in counts.items()}
