"""A search from its question to its hits."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connections, router

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.rag.embedding import embed_query
from django_wp_ai.rag.search import metering, postgres, sqlite
from django_wp_ai.rag.search.hits import Filters, Hit, Mode
from django_wp_ai.rag.search.languages import languages_of
from django_wp_ai.rag.search.lexemes import mark
from django_wp_ai.rag.search.picking import pick
from django_wp_ai.rag.search.rerank import reranked
from django_wp_ai.rag.search.terms import wanted
from django_wp_ai.rag.search.wish import MAX_QUERY_TERMS, Wish

MAX_K = 50
MAX_QUERY_CHARS = 4000
MAX_QUERY = 4000  # characters
ANY = Filters()


async def search(
    principal: Principal,
    query: str,
    *,
    k: int = 8,
    filters: Filters = ANY,
    mode: Mode = "hybrid",
    origin: Origin,
) -> list[Hit]:
    """The ``k`` passages of the principal's site that fit best; raises what the embedding of the query is refused with.

    In mode ``text`` no provider is asked.
    """
    require_scope(principal, "rag.read")
    _check(query, k)
    model, vector = "", None
    if mode == "text":
        await in_thread(metering.take, principal, origin)
    else:
        model, vector = await embed_query(principal, query, origin)
    candidates = await in_thread(
        candidates_of, principal.tenant, query=query, vector=vector, model=model, k=k, filters=filters, mode=mode
    )
    return await in_thread(pick, await reranked(query, candidates), k)


def find(
    tenant: Tenant,
    *,
    query: str,
    vector: Sequence[float] | None,
    model: str,
    k: int,
    filters: Filters = ANY,
    mode: Mode = "hybrid",
) -> list[Hit]:
    """As ``search`` with a vector at hand (or none: then only words are compared), without rerank. Blocking."""
    found = candidates_of(tenant, query=query, vector=vector, model=model, k=k, filters=filters, mode=mode)
    return pick(found, k)


def candidates_of(
    tenant: Tenant, *, query: str, vector: Sequence[float] | None, model: str, k: int, filters: Filters, mode: Mode
) -> list[Hit]:
    """The best of the legs together, best first: more than ``k``, copies included. Blocking."""
    connection = connections[router.db_for_read(Chunk)]
    terms: list[tuple[str, ...]] = []
    if mode != "vector":
        spoken = filters.languages or languages_of(connection, tenant.pk)
        terms = wanted(query[:MAX_QUERY], spoken, limit=MAX_QUERY_TERMS)
    marked = tuple(tuple(mark(tenant.pk, form) for form in forms) for forms in terms)
    asked = None if mode == "text" else vector
    if not marked and not asked:
        return []
    wish = Wish(tenant.pk, marked, asked, model, filters, k)
    if connection.vendor == "postgresql":
        return postgres.ranked(connection, wish)
    return sqlite.ranked(connection, wish)


def _check(query: str, k: int) -> None:
    if not settings.rag:
        raise NotFound("Retrieval is switched off.")
    if not query.strip():
        raise Invalid(
            "The query is empty.", errors=[{"field": "query", "message": "The text is empty."}], param="query"
        )
    if not 1 <= k <= MAX_K:
        message = f"From 1 to {MAX_K}."
        raise Invalid(message, errors=[{"field": "k", "message": message}], param="k")
