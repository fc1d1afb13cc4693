"""A job in a worker's hands, and what every change of its row needs: one transaction, a lock, the database's clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, router, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.models import Job
from django_wp_ai.models.job import JobQuerySet

#: As ``Job.objects.held``, for statements of PostgreSQL: of the row ``job`` by the values ``id`` and ``fence``.
HELD = "job.id = %(id)s AND job.fence = %(fence)s AND job.status = 'running' AND job.waiting_for IS NULL"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one attempt of a job, as long as the row's ``fence`` is this one."""

    job: Job
    fence: int


def one_transaction() -> Any:
    """All or nothing, in the database that jobs are in."""
    return transaction.atomic(router.db_for_write(Job))


def is_postgresql() -> bool:
    """Whether jobs are in PostgreSQL, which has statements of its own."""
    return connections[router.db_for_write(Job)].vendor == "postgresql"


def from_now(seconds: float) -> ExpressionWrapper[CombinedExpression]:
    """So many seconds from now, by the database's clock."""
    return ExpressionWrapper(Now() + Value(timedelta(seconds=seconds)), output_field=DateTimeField())


def created_now() -> Any:
    """The database's time for ``created_at``. SQLite has the process's own, and compares times as texts of one form."""
    return Now() if is_postgresql() else timezone.now()


def lock(rows: JobQuerySet) -> tuple[Job, datetime] | None:
    """The one row of ``rows``, locked until the transaction ends, and the database's time; None where there is none."""
    alias = router.db_for_write(Job)
    features = connections[alias].features
    if features.has_select_for_update:
        rows = rows.select_for_update(of=("self",), no_key=features.has_select_for_no_key_update)
    elif not rows.update(fence=F("fence")):  # SQLite: a transaction that writes first waits for its turn
        return None
    found = rows.using(alias).select_related("tenant").annotate(clock=Now()).order_by().first()
    return None if found is None else (found, found.clock)  # type: ignore[attr-defined]  # the annotation


def lock_held(claim: Claim) -> tuple[Job, datetime] | None:
    """As ``lock``, for the row of a claim; None where it is lost."""
    return lock(Job.objects.held(claim.job.pk, claim.fence))
