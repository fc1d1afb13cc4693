"""A new job's row. On PostgreSQL one statement writes it and tells the times that the database gave it."""

from __future__ import annotations

from functools import lru_cache

from django.db import connections, router
from django.db.models.functions import Now

from django_wp_ai.jobs.held import is_postgresql
from django_wp_ai.models import Job


def insert(job: Job) -> bool:
    """Write the row, with its times as they are stored; no signals. False where its idempotency key has one already.

    On other databases than PostgreSQL a taken key raises IntegrityError: there the caller looks first.
    """
    if not is_postgresql():
        job.save(force_insert=True)
        job.refresh_from_db(fields=["created_at", "run_after"])
        return True
    alias = router.db_for_write(Job)
    connection = connections[alias]
    values = [(field, getattr(job, field.attname)) for field in Job._meta.local_concrete_fields]
    by_clock = frozenset(field.column for field, value in values if isinstance(value, Now))
    stored = [field.get_db_prep_save(value, connection) for field, value in values if field.column not in by_clock]
    with connection.cursor() as cursor:
        cursor.execute(_statement(by_clock), stored)
        row = cursor.fetchone()
    if row is None:
        return False
    job.created_at, job.run_after = row
    job._state.adding, job._state.db = False, alias
    return True


@lru_cache(maxsize=8)
def _statement(by_clock: frozenset[str]) -> str:
    """All columns by name; those in ``by_clock`` get the database's time. It waits for a twin that is being written."""
    columns = [str(field.column) for field in Job._meta.local_concrete_fields]
    values = ", ".join("statement_timestamp()" if column in by_clock else "%s" for column in columns)
    return (
        f"INSERT INTO django_wp_ai_job ({', '.join(columns)}) VALUES ({values}) "  # noqa: S608 - our own names
        "ON CONFLICT (tenant_id, idempotency_key) DO NOTHING RETURNING created_at, run_after"
    )
