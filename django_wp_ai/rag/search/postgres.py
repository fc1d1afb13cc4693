"""Search on PostgreSQL with pgvector."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from django_wp_ai.conf import settings
from django_wp_ai.rag.search.hits import Hit
from django_wp_ai.rag.search.statement import GENERATING, statement
from django_wp_ai.rag.search.wish import RANK_CONSTANT, Wish

_COLUMNS = tuple(each.name for each in fields(Hit))  # in the order of the statement
MAX_EF_SEARCH = 1000  # pgvector's
#: Without sorts to choose from, the planner takes the index where it may; it does not know how dear a comparison is.
#: Nor is it worth compiling a statement that reads some hundred rows, whatever the whole walk would cost.
_SETTINGS = (
    "SELECT set_config('hnsw.ef_search', %s, true), set_config('hnsw.iterative_scan', 'relaxed_order', true),"
    " set_config('enable_sort', 'off', true), set_config('jit', 'off', true)"
)


def ranked(connection: BaseDatabaseWrapper, wish: Wish) -> list[Hit]:
    """The best ``depth`` passages, best first."""
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        if wish.vector:
            cursor.execute(_SETTINGS, [str(min(MAX_EF_SEARCH, max(settings.rag_ef_search, wish.depth)))])
        cursor.execute(statement(wish), parameters(wish))
        return [_hit(row) for row in cursor.fetchall()]


def parameters(wish: Wish) -> dict[str, Any]:
    """The values of ``statement``."""
    vector_weight, text_weight = wish.weights
    return {
        "tenant": wish.tenant_id,
        "vector": vector_text(wish.vector or ()),
        "asked": [" | ".join(map(_asked, forms)) for forms in wish.terms],
        "forms": [len(forms) for forms in wish.terms],
        "depth": wish.depth,
        "exact": settings.rag_exact_chunks,
        "generating": GENERATING,
        "constant": float(RANK_CONSTANT),
        "vector_weight": vector_weight,
        "text_weight": text_weight,
        "post_types": list(wish.filters.post_types),
        "languages": list(wish.filters.languages),
        "tags": list(wish.filters.tags),
        "source_ids": list(wish.filters.source_ids),
    }


def vector_text(vector: Any) -> str:
    """As pgvector reads it."""
    return f"[{','.join(map(str, vector))}]"


def _asked(form: str) -> str:
    """A marked term as a tsquery; terms hold no quotes."""
    return f"'{form[:-1]}':*" if form.endswith("*") else f"'{form}'"


def _hit(row: tuple[Any, ...]) -> Hit:
    values = dict(zip(_COLUMNS, row, strict=True))
    headings = values.pop("heading_path")
    return Hit(heading_path=tuple(json.loads(headings) if isinstance(headings, str) else headings), **values)
