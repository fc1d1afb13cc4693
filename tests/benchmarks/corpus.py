"""Sites with passages, made from numbers alone, always the same: vectors in clusters, words as often as in real text.

A topic is a place in a space of few dimensions, a document lies near its topic and a passage near its document; that
space is laid into the many dimensions of an embedding, with some noise in each. Uniform noise would be nobody's data:
in it everything is equally far from everything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

LATENT = 64
TOPICS = 400
VOCABULARY = 30_000
MODEL = "openai:text-embedding-3-small"


@dataclass(frozen=True, slots=True)
class Corpus:
    """How much there is; sites' sizes fall like 1/rank^0.9."""

    chunks: int
    tenants: int
    dimensions: int
    words: int  # of a passage
    per_document: int = 8
    seed: int = 5

    def sizes(self) -> list[int]:
        """Passages of each site, the largest first."""
        shares = np.arange(1, self.tenants + 1, dtype=float) ** -0.9
        sizes = np.maximum(1, np.floor(self.chunks * shares / shares.sum())).astype(int)
        sizes[0] += self.chunks - sizes.sum()
        return [int(size) for size in sizes]


@dataclass(frozen=True, slots=True)
class Site:
    """The passages of one site; ``words`` are numbers of words."""

    vectors: Any  # float32, one row a passage
    latent: Any
    words: Any
    documents: Any


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and which passage of the site it was made from."""

    vector: list[float]
    text: str
    row: int


class Maker:
    """Makes the sites one after the other."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._random = np.random.default_rng(corpus.seed)
        self._topics = self._random.normal(size=(TOPICS, LATENT))
        self._laid = self._random.normal(size=(LATENT, corpus.dimensions)).astype(np.float32) / LATENT**0.5
        self._shuffled = np.stack([self._random.permutation(VOCABULARY) for _ in range(TOPICS)])

    def sites(self) -> Iterator[Site]:
        """All of them, the largest first."""
        for size in self.corpus.sizes():
            yield self._site(size)

    def _site(self, size: int) -> Site:
        documents = np.arange(size) // self.corpus.per_document
        count = int(documents[-1]) + 1
        own = self._random.choice(TOPICS, size=int(min(TOPICS, max(2, count // 4))), replace=False)
        topics = self._random.choice(own, size=count)
        places = self._topics[topics] + 0.7 * self._random.normal(size=(count, LATENT))
        latent = places[documents] + 0.5 * self._random.normal(size=(size, LATENT))
        return Site(self.vectors(latent), latent, self._words(topics[documents]), documents)

    def vectors(self, latent: Any) -> Any:
        """Places of the small space as embeddings of length 1."""
        laid = latent.astype(np.float32) @ self._laid
        laid += 0.15 * self._random.standard_normal(size=laid.shape, dtype=np.float32) * laid.std()
        return laid / np.linalg.norm(laid, axis=1, keepdims=True)

    def _words(self, topics: Any) -> Any:
        """Frequent words are common to all; the rarer half of a passage is its topic's own."""
        wanted = (len(topics), self.corpus.words)
        ranks = np.minimum(self._random.zipf(1.15, size=wanted), VOCABULARY) - 1
        of_topic = self._shuffled[topics[:, None], np.minimum(ranks, VOCABULARY - 1)]
        return np.where(self._random.random(size=wanted) < 0.5, ranks, of_topic)

    def questions(self, site: Site, count: int) -> list[Question]:
        """Near passages of the site: a vector, words of the passage and a few others, and its place on the site."""
        rows = self._random.choice(len(site.latent), size=count)
        latent = site.latent[rows] + 0.8 * self._random.normal(size=(count, LATENT))
        said = (" ".join(map(word, self._said(site.words[row]))) for row in rows)
        vectors = ([round(float(x), 5) for x in vector] for vector in self.vectors(latent))
        return [Question(*each) for each in zip(vectors, said, map(int, rows), strict=True)]

    def _said(self, words: Any) -> list[int]:
        own, others = self._random.choice(words, size=4), self._random.integers(0, VOCABULARY, size=2)
        return [*map(int, own), *map(int, others)]


def word(number: int) -> str:
    """A word that no language inflects."""
    consonants, vowels = "bdfgklmnprtvz", "aiou"
    made, rest = "", int(number) + 1
    while rest:
        rest, at = divmod(rest, 52)
        made += consonants[at % 13] + vowels[at // 13]
    return made + "x"


def packed(vector: Any) -> bytes:
    """As a halfvec in PostgreSQL's binary form."""
    half = vector.astype(">f2")
    return struct.pack(">HH", len(half), 0) + half.tobytes()
