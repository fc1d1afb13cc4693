"""The HNSW indexes over vectors: one for each model and number of dimensions, made while the site works."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from django.db import DatabaseError, connections, router
from django.db.backends.base.base import BaseDatabaseWrapper

from django_wp_ai.conf import settings
from django_wp_ai.models import Chunk
from django_wp_ai.rag.index.naming import check, definition, name_of

logger = logging.getLogger("django_wp_ai.rag")

LOCK = 0x77706978  # any number that nobody else uses for the first half of an advisory lock
POLL_S = 0.2

_STATE = """
SELECT i.indisvalid FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relname = %s AND i.indrelid = 'django_wp_ai_chunk'::regclass
"""
_LEFTOVERS = """
SELECT c.relname FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE i.indrelid = 'django_wp_ai_chunk'::regclass AND NOT i.indisvalid AND c.relname ~ %s ORDER BY c.relname
"""


def ensure(model: str, dimensions: int, *, waits: bool = True) -> bool:
    """Make the index of a model where it is missing or was left half made; whether it had to be made.

    Rows may be written meanwhile, except inside of a transaction, where PostgreSQL can't do that. Of several callers at
    once one makes it, and the others wait or, where ``waits`` is False, leave it to that one. Raises Invalid for more
    dimensions than can be indexed. Blocking.
    """
    check(model, dimensions)
    connection = connections[router.db_for_write(Chunk)]
    if connection.vendor != "postgresql":
        return False
    with _alone(connection, name_of(model, dimensions), waits=waits) as is_mine:
        valid = is_valid(connection, model, dimensions)
        if valid or not is_mine:
            return False
        if valid is not None:
            drop(model, dimensions)
        _create(connection, model, dimensions)
        return True


def rebuild(model: str, dimensions: int) -> None:
    """Make the index anew beside the old one, which serves meanwhile; what broken-off rebuilds left goes. Blocking."""
    check(model, dimensions)
    connection = connections[router.db_for_write(Chunk)]
    if connection.vendor != "postgresql":
        return
    is_made = ensure(model, dimensions)
    with _alone(connection, name_of(model, dimensions)):
        how = "" if connection.in_atomic_block else "CONCURRENTLY "
        for name in leftovers(connection, model, dimensions) if how else ():
            _drop(connection, name)
        if not is_made:
            _with_memory(connection, f"REINDEX INDEX {how}{name_of(model, dimensions)}")


def leftovers(connection: BaseDatabaseWrapper, model: str, dimensions: int) -> list[str]:
    """What broken-off rebuilds left behind: indexes that nobody reads, and that each write keeps up. Blocking."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFTOVERS, [rf"^{name_of(model, dimensions)}_cc(new|old)\d*$"])
        return [name for (name,) in cursor.fetchall()]


def drop(model: str, dimensions: int) -> None:
    """Remove the index of a model that nobody uses any more, or one that was left half made. Blocking."""
    connection = connections[router.db_for_write(Chunk)]
    if connection.vendor != "postgresql":
        return
    _drop(connection, name_of(model, dimensions))


def _drop(connection: BaseDatabaseWrapper, name: str) -> None:
    how = "" if connection.in_atomic_block else "CONCURRENTLY "
    with connection.cursor() as cursor:
        cursor.execute(f"DROP INDEX {how}IF EXISTS {name}")


def _create(connection: BaseDatabaseWrapper, model: str, dimensions: int) -> None:
    begun = time.monotonic()
    if connection.in_atomic_block:
        connection.check_constraints()  # what is put off to the end of a transaction bars its tables from changes
    _with_memory(connection, definition(model, dimensions, concurrently=not connection.in_atomic_block))
    logger.info("Made the index of %s (%d dimensions) in %.1f s.", model, dimensions, time.monotonic() - begun)


def _with_memory(connection: BaseDatabaseWrapper, statement: str) -> None:
    """Run it with the memory it wants: a graph that does not fit is built many times slower."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('maintenance_work_mem')")
        before = cursor.fetchone()[0]
        cursor.execute("SELECT set_config('maintenance_work_mem', %s, false)", [f"{settings.rag_index_memory_mb}MB"])
        try:
            cursor.execute(statement)
        finally:
            if not connection.in_atomic_block or not connection.needs_rollback:
                _restore(connection, before)


def _restore(connection: BaseDatabaseWrapper, memory: str) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('maintenance_work_mem', %s, false)", [memory])
    except DatabaseError:  # the transaction failed with the statement; it ends and takes the setting along
        logger.debug("maintenance_work_mem ends with the transaction")


def is_valid(connection: BaseDatabaseWrapper, model: str, dimensions: int) -> bool | None:
    """None where there is no such index. Blocking."""
    with connection.cursor() as cursor:
        cursor.execute(_STATE, [name_of(model, dimensions)])
        row = cursor.fetchone()
    return None if row is None else bool(row[0])


@contextmanager
def _alone(connection: BaseDatabaseWrapper, name: str, *, waits: bool = True) -> Iterator[bool]:
    """One maker of an index at a time; False for another, who does not wait.

    Asked again and again instead of waited for: who waits within a statement holds up what is made concurrently. In a
    transaction nothing is, and the lock ends with it.
    """
    key = crc32(name.encode()) - 2**31
    if connection.in_atomic_block:
        _ask(connection, "SELECT pg_advisory_xact_lock(%s, %s) IS NULL", key)
        yield True
        return
    while not _ask(connection, "SELECT pg_try_advisory_lock(%s, %s)", key):
        if not waits:
            yield False
            return
        time.sleep(POLL_S)
    try:
        yield True
    finally:
        _ask(connection, "SELECT pg_advisory_unlock(%s, %s)", key)


def _ask(connection: BaseDatabaseWrapper, question: str, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [LOCK, key])
        return bool(cursor.fetchone()[0])
