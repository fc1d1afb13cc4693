"""One search, ready for a database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django_wp_ai.rag.choices import weights
from django_wp_ai.rag.embedding import model_of
from django_wp_ai.rag.search.hits import Filters

MAX_QUERY_TERMS = 64
#: Of reciprocal-rank fusion (Cormack, Clarke and Büttcher, 2009). Theirs is 60, for many rankings that are equally
#: good: then a passage that a weak leg has somewhere beats one that the strong leg has first.
RANK_CONSTANT = 5
K1, B = 1.2, 0.75  # of BM25: how soon repetition stops to count, how much length does; as in SQLite's FTS5


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be found. ``terms`` are marked forms; ``vector`` and ``model`` (as ``rag.embedding`` names vectors) go
    together; either leg may be off.
    """

    tenant_id: int
    terms: tuple[tuple[str, ...], ...]
    vector: Sequence[float] | None
    model: str
    filters: Filters
    k: int

    @property
    def depth(self) -> int:
        """How many candidates each leg gives, and how many come out."""
        return depth_of(self.k)

    @property
    def weights(self) -> tuple[float, float]:
        """Of the vector leg and of the text leg, by ``RAG_WEIGHTS`` for the model; one that is alone counts whole."""
        if not (self.vector and self.terms):
            return 1.0, 1.0
        return weights(model_of(self.model))


def depth_of(k: int) -> int:
    """How many candidates are looked at for so many passages."""
    return max(50, 3 * k)
