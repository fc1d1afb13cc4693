"""Everything that searches need, made where it is missing: for a command, and after a migration."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.rag.index.inspecting import IndexHealth, health, models_in_use
from django_wp_ai.rag.index.naming import MAX_DIMENSIONS
from django_wp_ai.rag.index.vectors import ensure, rebuild
from django_wp_ai.rag.index.words import BATCH, chunks_written

logger = logging.getLogger("django_wp_ai.rag")


def build() -> list[IndexHealth]:
    """Make the missing indexes of all models in use, and say how they are then. Blocking, maybe for minutes."""
    for model, dimensions in _indexable():
        ensure(model, dimensions)
    return health()


def rebuild_all() -> list[IndexHealth]:
    """Make the indexes of all models in use anew while the old ones serve. Blocking, maybe for minutes."""
    for model, dimensions in _indexable():
        rebuild(model, dimensions)
    return health()


def rewrite_words(tenant: Tenant | None = None, *, only_missing: bool = False) -> int:
    """Analyse the live passages of a site (or of all) again, as after a change of how words are found; how many."""
    rows = Chunk.objects.filter(is_live=True) if tenant is None else Chunk.objects.for_tenant(tenant).live()
    if only_missing:
        rows = rows.filter(lexemes=None)
    written, last = 0, 0
    while ids := list(rows.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)[:BATCH]):
        chunks_written(ids)
        written, last = written + len(ids), ids[-1]
    return written


def _indexable() -> Iterator[tuple[str, int]]:
    for model, dimensions in models_in_use():
        if dimensions <= MAX_DIMENSIONS:
            yield model, dimensions
        else:
            logger.warning("%s gives %d dimensions: more than an index takes.", model, dimensions)
