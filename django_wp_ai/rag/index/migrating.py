"""After a migration: the indexes that no migration can know of, as they depend on the models that sites use."""

from __future__ import annotations

from typing import Any

from django.db import connections, router

from django_wp_ai.conf import settings
from django_wp_ai.models import Chunk
from django_wp_ai.rag.index.building import build


def ensure_indexes(*, using: str, **_: Any) -> None:
    """Make what is missing, where passages are kept; also called where tables went backwards or are not there."""
    connection = connections[using]
    if not settings.rag or connection.vendor != "postgresql" or router.db_for_write(Chunk) != using:
        return
    with connection.cursor() as cursor:
        if Chunk._meta.db_table not in connection.introspection.table_names(cursor):
            return
        columns = {c.name for c in connection.introspection.get_table_description(cursor, Chunk._meta.db_table)}
    if {"is_live", "embedding", "lexemes"} <= columns:
        build()
