"""From the best candidates to those that are shown: nothing twice, and not all from one source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django_wp_ai.conf import settings
from django_wp_ai.rag.search.hits import Hit
from django_wp_ai.rag.search.terms import tokens

SAME = 0.9  # of all different words of two passages: from here on they say the same
RELEVANCE = 0.9  # of maximal marginal relevance (Carbonell and Goldstein, 1998); the rest is for what is new


def pick(candidates: Sequence[Hit], k: int) -> list[Hit]:
    """``k`` of the candidates (best first): the next is always the one that is relevant and unlike those before it.

    A near copy of what is shown is left out. Past ``RAG_PER_SOURCE`` passages a source waits until no other has more.
    """
    words = {hit.chunk_id: frozenset(tokens(hit.content)) for hit in candidates}
    likeness = dict.fromkeys(words, 0.0)
    waiting = list(candidates)
    relevance = _relevance(candidates)
    of_source: Counter[int] = Counter()
    shown: list[Hit] = []
    while waiting and len(shown) < k:
        room = [hit for hit in waiting if of_source[hit.document_id] < settings.rag_per_source] or waiting
        best = max(room, key=lambda hit: RELEVANCE * relevance[hit.chunk_id] - (1 - RELEVANCE) * likeness[hit.chunk_id])
        shown.append(best)
        of_source[best.document_id] += 1
        waiting = [hit for hit in waiting if hit is not best and hit.content_hash != best.content_hash]
        for hit in waiting:
            alike = _overlap(words[hit.chunk_id], words[best.chunk_id])
            likeness[hit.chunk_id] = max(likeness[hit.chunk_id], alike)
        waiting = [hit for hit in waiting if likeness[hit.chunk_id] < SAME]
    return shown


def _relevance(candidates: Sequence[Hit]) -> dict[int, float]:
    """Scores from 0 to 1, whatever they are measured in: a reranker's may be negative."""
    scores = [hit.score for hit in candidates]
    low, width = min(scores, default=0.0), max(scores, default=0.0) - min(scores, default=0.0)
    return {hit.chunk_id: (hit.score - low) / width if width else 1.0 for hit in candidates}


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    together = len(one & other)
    return together / (len(one) + len(other) - together) if one or other else 1.0
