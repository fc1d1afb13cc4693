"""How good a ranking is. A ranking has each source once, best first; what is relevant is so or not, without degrees."""

from __future__ import annotations

from collections.abc import Sequence, Set
from math import log2


def recall(ranked: Sequence[str], relevant: Set[str], k: int) -> float:
    """Which share of what is relevant stands among the first ``k``."""
    return len(relevant & set(ranked[:k])) / len(relevant)


def reciprocal_rank(ranked: Sequence[str], relevant: Set[str]) -> float:
    """1 / the place of the first that is relevant, 0 without one; its mean over questions is the MRR."""
    return next((1 / place for place, source in enumerate(ranked, 1) if source in relevant), 0.0)


def ndcg(ranked: Sequence[str], relevant: Set[str], k: int) -> float:
    """Normalised discounted cumulative gain of the first ``k``: what is relevant counts 1 / log2(place + 1).

    1 is a ranking that begins with all that is relevant (Järvelin and Kekäläinen, 2002).
    """
    gained = sum(1 / log2(place + 1) for place, source in enumerate(ranked[:k], 1) if source in relevant)
    return gained / sum(1 / log2(place + 1) for place in range(1, min(len(relevant), k) + 1))
