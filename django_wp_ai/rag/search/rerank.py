"""The host's own second look at what was found."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from django.utils.module_loading import import_string

from django_wp_ai.conf import settings
from django_wp_ai.rag.search.hits import Hit

logger = logging.getLogger("django_wp_ai.rag")

Reranker = Callable[[str, Sequence[Hit]], Awaitable[Sequence[float]]]


async def reranked(query: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits in the order of ``RAG_RERANKER``'s scores; in the given one where there is none, or where it fails."""
    if not settings.rag_reranker or not hits:
        return list(hits)
    try:
        rerank: Reranker = import_string(settings.rag_reranker)
        scores = await asyncio.wait_for(rerank(query, hits), settings.rag_rerank_timeout_s)
        given = [float(score) for score in scores]
    except Exception as error:
        logger.warning("RAG_RERANKER failed: %s: %s", type(error).__name__, error, exc_info=error)
        return list(hits)
    if len(given) != len(hits) or not all(map(math.isfinite, given)):
        logger.warning("RAG_RERANKER must give one finite score for each of the %d hits; it is left out.", len(hits))
        return list(hits)
    scored = [replace(hit, score=score) for hit, score in zip(hits, given, strict=True)]
    return sorted(scored, key=lambda hit: -hit.score)
