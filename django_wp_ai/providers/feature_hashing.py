"""Embeddings without a model: signed feature hashing of words, word pairs and letter triples.

Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009). Texts that share words, or parts of
words, are near; meaning is not seen.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from hashlib import blake2b
from itertools import pairwise
from math import sqrt

from django_wp_ai.providers.words import content_words, words

DIMENSIONS = 384
MAX_DIMENSIONS = 4096
WORD_WEIGHT = 1.0
PAIR_WEIGHT = 0.6
TRIPLE_WEIGHT = 0.3


def vector(text: str, dimensions: int = DIMENSIONS) -> tuple[float, ...]:
    """A vector of length 1; the same text always gives the same one, in any process."""
    said = content_words(text) or words(text) or [text.strip()]
    features: Counter[tuple[int, float]] = Counter()
    for word in said:
        features.update(_word_features(word))
    features.update((_hash(f"{first} {second}"), PAIR_WEIGHT) for first, second in pairwise(said))
    found = [0.0] * dimensions
    for (hashed, weight), count in features.items():
        found[(hashed >> 1) % dimensions] += weight * sqrt(count) * (1 if hashed & 1 else -1)
    norm = sqrt(sum(value * value for value in found))
    if norm == 0:  # features that cancel each other out, possible in very few dimensions
        found[0] = norm = 1.0
    return tuple(value / norm for value in found)


@lru_cache(maxsize=50_000)
def _word_features(word: str) -> tuple[tuple[int, float], ...]:
    padded = f"^{word}$"
    triples = {padded[at : at + 3] for at in range(len(padded) - 2)}
    return ((_hash(word), WORD_WEIGHT), *((_hash(f"#{triple}"), TRIPLE_WEIGHT) for triple in sorted(triples)))


def _hash(feature: str) -> int:
    return int.from_bytes(blake2b(feature.encode("utf-8", "replace"), digest_size=8).digest(), "big")
