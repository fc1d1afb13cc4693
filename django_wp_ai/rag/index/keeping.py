"""Indexes that the searches of large sites miss, made by a worker beside its tasks: one takes long."""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connections, router

from django_wp_ai.models import Chunk
from django_wp_ai.rag.index.inspecting import models_of_large_sites
from django_wp_ai.rag.index.naming import MAX_DIMENSIONS
from django_wp_ai.rag.index.vectors import ensure, is_valid

logger = logging.getLogger("django_wp_ai.rag")

_making = threading.Lock()


def start_making() -> bool:
    """Begin to make what is missing on a thread of its own, one in a process; whether it was begun."""
    if not _missing() or not _making.acquire(blocking=False):
        return False
    threading.Thread(target=_make_and_leave, name="django-wp-ai-index", daemon=True).start()
    return True


def make_missing() -> int:
    """Make the index of each embedding model that a large site has; what another process makes is left to it.

    Searches are exact until it is there. A process that ends meanwhile leaves an index half made; the next time it is
    made anew. Blocking, maybe for minutes; how many were made.
    """
    return sum(ensure(model, dimensions, waits=False) for model, dimensions in _missing())


def _missing() -> list[tuple[str, int]]:
    connection = connections[router.db_for_write(Chunk)]
    if connection.vendor != "postgresql":
        return []
    indexable = [(model, size) for model, size in models_of_large_sites() if size <= MAX_DIMENSIONS]
    return [(model, size) for model, size in indexable if not is_valid(connection, model, size)]


def _make_and_leave() -> None:
    try:
        make_missing()
    except DatabaseError as error:
        logger.warning("An index could not be made; it is tried again: %s", error)
    finally:
        connections.close_all()
        _making.release()
