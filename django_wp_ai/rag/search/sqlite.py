"""Search on SQLite: a first try on a laptop. Every passage is compared, by the same formulas as on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import log
from operator import mul
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from django_wp_ai.models import Chunk, Document
from django_wp_ai.rag.search.hits import Filters, Hit
from django_wp_ai.rag.search.lexemes import counts
from django_wp_ai.rag.search.wish import K1, RANK_CONSTANT, B, Wish

_NEAREST = """
SELECT id, wpai_cosine_similarity(embedding, %s) FROM django_wp_ai_chunk
WHERE tenant_id = %s AND is_live AND embedding_model = %s AND dimensions = %s
"""


def ranked(connection: BaseDatabaseWrapper, wish: Wish) -> list[Hit]:
    """The best ``depth`` passages, best first."""
    allowed = _allowed(wish)
    similar = _similarities(connection, wish)
    worded = _scores(wish) if wish.terms else {}
    vector_weight, text_weight = wish.weights
    fused: dict[int, float] = {}
    legs = ((vector_weight, similar), (text_weight, worded))
    for weight, leg in legs:
        for place, chunk_id in enumerate(_best(leg, allowed, wish.depth), start=1):
            fused[chunk_id] = fused.get(chunk_id, 0.0) + weight / (RANK_CONSTANT + place)
    best = _best(fused, allowed, wish.depth)
    rows = Chunk.objects.filter(tenant_id=wish.tenant_id).select_related("document").in_bulk(best)
    shown = set(_best(worded, allowed, wish.depth))
    return [
        _hit(rows[each], fused[each], similar.get(each), worded[each] if each in shown else None)
        for each in best
        if each in rows
    ]


def _best(scores: Mapping[int, float], allowed: set[int] | None, depth: int) -> list[int]:
    among = scores if allowed is None else scores.keys() & allowed
    return sorted(among, key=lambda each: (-scores[each], each))[:depth]


def _allowed(wish: Wish) -> set[int] | None:
    filters = wish.filters
    if not filters:
        return None
    rows = Chunk.objects.filter(tenant_id=wish.tenant_id, is_live=True)
    if filters.post_types:
        rows = rows.filter(post_type__in=filters.post_types)
    if filters.languages:
        rows = rows.filter(language__in=filters.languages)
    if filters.source_ids:
        documents = Document.objects.filter(tenant_id=wish.tenant_id, source_id__in=filters.source_ids)
        rows = rows.filter(document__in=documents)
    tagged = rows.values_list("id", "tags")
    return {chunk_id for chunk_id, tags in tagged if not filters.tags or _has(tags, filters)}


def _has(tags: Any, filters: Filters) -> bool:
    return isinstance(tags, list) and any(tag in filters.tags for tag in tags)


def _similarities(connection: BaseDatabaseWrapper, wish: Wish) -> dict[int, float]:
    if not wish.vector:
        return {}
    asked = list(wish.vector)
    length = sum(map(mul, asked, asked)) ** 0.5

    def similarity(embedding: str | None, _: str) -> float | None:
        return _cosine(embedding, asked, length)

    connection.ensure_connection()
    connection.connection.create_function("wpai_cosine_similarity", 2, similarity)
    with connection.cursor() as cursor:
        cursor.execute(_NEAREST, ["", wish.tenant_id, wish.model, len(asked)])
        return {chunk_id: value for chunk_id, value in cursor.fetchall() if value is not None}


def _cosine(embedding: str | None, asked: list[float], length: float) -> float | None:
    if embedding is None:
        return None
    held = list(map(float, embedding[1:-1].split(",")))
    norm = length * sum(map(mul, held, held)) ** 0.5
    return sum(map(mul, held, asked)) / norm if norm else None


def _scores(wish: Wish) -> dict[int, float]:
    """BM25 of each passage that has one of the terms, with the tenant's own statistics."""
    rows = list(Chunk.objects.filter(tenant_id=wish.tenant_id, is_live=True).values_list("id", "lexemes", "term_count"))
    length = max(1.0, sum(row[2] for row in rows) / len(rows)) if rows else 1.0
    found: list[dict[int, int]] = [{} for _ in wish.terms]
    for chunk_id, lexemes, _ in rows:
        held = counts(lexemes or "")
        for term, forms in zip(found, wish.terms, strict=True):
            if times := sum(_times(held, forms)):
                term[chunk_id] = times
    lengths = {chunk_id: term_count for chunk_id, _, term_count in rows}
    scores: dict[int, float] = {}
    for term in found:
        idf = log(1 + (len(rows) - len(term) + 0.5) / (len(term) + 0.5))
        for chunk_id, times in term.items():
            norm = K1 * (1 - B + B * lengths[chunk_id] / length)
            scores[chunk_id] = scores.get(chunk_id, 0.0) + idf * times * (K1 + 1) / (times + norm)
    return scores


def _times(held: Mapping[str, int], forms: Iterable[str]) -> Iterable[int]:
    for form in forms:
        if form.endswith("*"):
            yield from (count for term, count in held.items() if term.startswith(form[:-1]))
        else:
            yield held.get(form, 0)


def _hit(chunk: Chunk, score: float, vector: float | None, text: float | None) -> Hit:
    document = chunk.document
    return Hit(
        chunk.pk, document.pk, document.source_id, document.title, document.url, chunk.content, chunk.ordinal,
        tuple(chunk.heading_path), chunk.language, chunk.post_type, score, vector, text, chunk.content_hash,
    )  # fmt: skip
