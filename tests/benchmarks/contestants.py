"""Who searches: the app, and what one would write without it, on the same rows and the same index over vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from django_wp_ai.models import Tenant
from django_wp_ai.rag.search import Filters, Mode
from django_wp_ai.rag.search.flow import candidates_of
from django_wp_ai.rag.search.postgres import vector_text
from django_wp_ai.rag.search.statement import condition, distance_to
from tests.benchmarks.corpus import MODEL, Question
from tests.benchmarks.filling import RARE_TAG

K = 10

_NEAREST = """
SELECT c.id FROM django_wp_ai_chunk c WHERE c.tenant_id = %(tenant)s AND c.is_live AND {condition}{filter}
ORDER BY {distance} LIMIT %(k)s
"""
NAIVE_INDEX = "CREATE INDEX bench_naive ON django_wp_ai_chunk USING gin (to_tsvector('english', content))"
_NAIVE = """
WITH near AS (
    SELECT c.id, row_number() OVER (ORDER BY {distance}) AS place FROM django_wp_ai_chunk c
    WHERE c.tenant_id = %(tenant)s AND c.is_live AND {condition}{filter} ORDER BY {distance} LIMIT 20
), worded AS (
    SELECT c.id, row_number() OVER (
        ORDER BY ts_rank_cd(to_tsvector('english', c.content), plainto_tsquery('english', %(text)s)) DESC
    ) AS place FROM django_wp_ai_chunk c
    WHERE c.tenant_id = %(tenant)s AND c.is_live{filter}
      AND to_tsvector('english', c.content) @@ plainto_tsquery('english', %(text)s)
    ORDER BY place LIMIT 20
)
SELECT id FROM near FULL JOIN worded USING (id)
ORDER BY coalesce(1.0 / (60 + near.place), 0) + coalesce(1.0 / (60 + worded.place), 0) DESC, id LIMIT %(k)s
"""

Search = Callable[[Tenant, Question, bool], list[int]]


@dataclass(frozen=True, slots=True)
class Contestant:
    """``by_vectors``: it says what is nearest, so its recall can be told. ``search`` takes whether to filter."""

    name: str
    search: Search
    by_vectors: bool


def contestants() -> list[Contestant]:
    """In the order of the table."""
    return [
        Contestant("django-wp-ai, vector", _ours("vector"), by_vectors=True),
        Contestant("plain ORDER BY … LIMIT, same index", _plain, by_vectors=True),
        Contestant("django-wp-ai, text", _ours("text"), by_vectors=False),
        Contestant("django-wp-ai, hybrid", _ours("hybrid"), by_vectors=False),
        Contestant("naive full text + RRF, same index", _naive, by_vectors=False),
    ]


def exact(tenant: Tenant, question: Question, rare: bool) -> list[int]:
    """The nearest by a comparison with every passage of the site."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_indexscan = off")
        return _ids(cursor, _NEAREST, tenant, question, rare)


def _ours(mode: Mode) -> Search:
    def search(tenant: Tenant, question: Question, rare: bool) -> list[int]:
        filters = Filters(tags=(RARE_TAG,)) if rare else Filters()
        vector = None if mode == "text" else question.vector
        found = candidates_of(tenant, query=question.text, vector=vector, model=MODEL, k=K, filters=filters, mode=mode)
        return [hit.chunk_id for hit in found[:K]]

    return search


def _plain(tenant: Tenant, question: Question, rare: bool) -> list[int]:
    with connection.cursor() as cursor:
        return _ids(cursor, _NEAREST, tenant, question, rare)


def _naive(tenant: Tenant, question: Question, rare: bool) -> list[int]:
    with connection.cursor() as cursor:
        return _ids(cursor, _NAIVE, tenant, question, rare)


def _ids(cursor: Any, template: str, tenant: Tenant, question: Question, rare: bool) -> list[int]:
    size = len(question.vector)
    tagged = f" AND c.tags ?| ARRAY['{RARE_TAG}']" if rare else ""
    statement = template.format(
        condition=condition(MODEL, size, "c."), distance=distance_to(size, "%(vector)s::halfvec"), filter=tagged
    )
    values = {"tenant": tenant.pk, "vector": vector_text(question.vector), "text": question.text, "k": K}
    cursor.execute(statement, values)
    return [chunk_id for (chunk_id,) in cursor.fetchall()]
