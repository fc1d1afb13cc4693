"""Embeddings without a model: signed feature hashing of words and of the parts of words.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009). Texts that share words, or parts of
words, are near; meaning is not seen. Parts of four letters carry most of the weight: they meet inflected forms,
compounds and typing errors in any language with blanks. Where there are none, pairs of characters stand for words.
``tests/benchmarks/retrieval.py`` measures what a change here does. A change makes other vectors, so it needs another
``VERSION``: vectors of two versions have nothing to do with each other.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import sqrt

from django_wp_ai.providers.words import STOP_WORDS

VERSION = 2
DIMENSIONS = 2048  # with fewer, different features meet in one number too often: recall@5 is 0.75 at 384, 0.94 at 2048
MAX_DIMENSIONS = 4096
WORD_WEIGHT = 0.5
PART_WEIGHT = 1.0
PART = 4  # letters
MAX_WORD = 64  # letters; of a longer one the beginning counts
PAIR_WEIGHT = 1.0
CHARACTER_WEIGHT = 1.0
GRAMMAR_WEIGHT = 0.1

_UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # kana, Chinese characters, Hangul
_TOKEN = re.compile(rf"[{_UNSPACED}]+|[^\W_{_UNSPACED}]+(?:['\u2019][^\W_{_UNSPACED}]+)?")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")
_IS_GRAMMAR = re.compile(r"[\u3040-\u309f]+")  # Hiragana: endings and particles more often than words
_IS_CHARACTER = re.compile(r"[\u3400-\u9fff]")
_MARK = re.compile(r"[\u0300-\u036f]")
#: The German ones are no content words of English, and without accents.
_STOP_WORDS = STOP_WORDS | frozenset(
    re.findall(
        r"\w+",
        """
        aber alle als am auch auf aus bei bin bis bist da das dass dein dem den der des dich die dies diese
        dieser dir doch du durch ein eine einem einen einer eines er es euch euer fur ich ihr ihre im ist ja
        kann kein keine konnen mein mich mir mit nach nicht noch nur oder schon sein seine sich sie sind uber um
        und uns unser unsere vom von vor wann warum wenn wer werden wie wir wird wo zu zum zur
        """,
    )
)


def vector(text: str, dimensions: int = DIMENSIONS) -> tuple[float, ...]:
    """A vector of length 1; the same text always gives the same one, in any process."""
    features: defaultdict[tuple[int, float], int] = defaultdict(int)
    for token, count in Counter(_tokens(text)).items():
        for feature in _features(token):
            features[feature] += count
    found = [0.0] * dimensions
    for (hashed, weight), count in (features or {(_hash(text.strip()), 1.0): 1}).items():
        found[(hashed >> 1) % dimensions] += weight * sqrt(count) * (1 if hashed & 1 else -1)
    norm = sqrt(sum(value * value for value in found))
    if norm == 0:  # features that cancel each other out, possible in very few dimensions
        found[0] = norm = 1.0
    return tuple(value / norm for value in found)


def _tokens(text: str) -> Iterable[str]:
    """The words that carry a subject, or all where none does; runs without blanks as they are."""
    found = [_plain(token) for token in _TOKEN.findall(unicodedata.normalize("NFKC", text).lower())]
    return (_singular(token) for token in [each for each in found if each not in _STOP_WORDS] or found)


def _plain(token: str) -> str:
    """Without accents, where they are not letters of their own."""
    if token.isascii() or _IS_UNSPACED.match(token):
        return token
    return _MARK.sub("", unicodedata.normalize("NFD", token)).replace("ß", "ss") or token


def _singular(token: str) -> str:
    return token[:-1] if len(token) > 3 and token.endswith("s") and not token.endswith("ss") else token


def _features(token: str) -> Iterable[tuple[int, float]]:
    return _of_run(token) if _IS_UNSPACED.match(token) else _of_word(token[:MAX_WORD])


@lru_cache(maxsize=50_000)
def _of_word(word: str) -> tuple[tuple[int, float], ...]:
    padded = f"^{word}$"
    parts = sorted({padded[at : at + PART] for at in range(max(1, len(padded) - PART + 1))})
    return ((_hash(word), WORD_WEIGHT), *((_hash(f"#{part}"), PART_WEIGHT) for part in parts))


def _of_run(run: str) -> Iterator[tuple[int, float]]:
    for first, second in pairwise(run):
        pair = first + second
        yield _hash(f"+{pair}"), GRAMMAR_WEIGHT if _IS_GRAMMAR.fullmatch(pair) else PAIR_WEIGHT
    for character in run:
        if len(run) == 1 or _IS_CHARACTER.match(character):
            yield _hash(f".{character}"), CHARACTER_WEIGHT


@lru_cache(maxsize=100_000)
def _hash(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest(), "big")
