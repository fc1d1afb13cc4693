"""How long ended jobs are kept: deleted, or left without the words of a site's users, so many a transaction."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from django_wp_ai.models import Callback, CallbackAttempt, Job, JobStep, Tenant

PURGE_BATCH = 500
#: In one run of the schedule, which has a minute.
PURGED_AT_MOST = 20_000
#: What is left of a job that was anonymised has no text and nothing that names a person.
BLANK: dict[str, Any] = {
    "input_sealed": b"",
    "input_hash": "",
    "result_sealed": None,
    "error_message": "",
    "metadata": {},
    "caller": {},
    "end_user": "",
    "idempotency_key": None,
    "callback_url": "",
    "callback_context": {},
}


@dataclass(slots=True)
class Purged:
    """How many jobs went, or lost their texts; those of a batch are counted with it."""

    deleted: int = 0
    anonymised: int = 0

    def add(self, number: int, *, anonymise: bool) -> None:
        """Count so many more."""
        if anonymise:
            self.anonymised += number
        else:
            self.deleted += number


def purge_expired(now: datetime, *, batch: int = PURGE_BATCH, at_most: int = PURGED_AT_MOST) -> Purged:
    """Do with every tenant's old jobs what it wants done with them; about ``at_most`` jobs, the rest the next time."""
    done = Purged()
    for days, retention in Tenant.objects.order_by().values_list("job_days", "job_retention").distinct():
        tenants = Tenant.objects.filter(job_days=days, job_retention=retention).values("pk")
        anonymise = retention == Tenant.Retention.ANONYMISE
        rows = expired(
            Job.objects.filter(tenant_id__in=tenants), before=now - timedelta(days=days), anonymise=anonymise
        )
        left = at_most - done.deleted - done.anonymised
        done.add(_purge(rows, anonymise=anonymise, batch=batch, at_most=left), anonymise=anonymise)
    return done


def purge(
    tenant: Tenant, *, older_than: timedelta, failed_only: bool = False, anonymise: bool, batch: int = PURGE_BATCH
) -> int:
    """Delete or anonymise all of one tenant's jobs that ended longer ago than this; how many."""
    before = timezone.now() - older_than
    rows = expired(Job.objects.for_tenant(tenant), before=before, anonymise=anonymise, failed_only=failed_only)
    return _purge(rows, anonymise=anonymise, batch=batch, at_most=None)


def count_expired(tenant: Tenant, *, older_than: timedelta, failed_only: bool = False, anonymise: bool) -> int:
    """How many jobs ``purge`` would take, those of batches included."""
    before = timezone.now() - older_than
    rows = expired(Job.objects.for_tenant(tenant), before=before, anonymise=anonymise, failed_only=failed_only)
    return rows.count() + Job.objects.for_tenant(tenant).filter(parent__in=rows.values("pk")).count()


def expired(
    jobs: QuerySet[Job], *, before: datetime, anonymise: bool = False, failed_only: bool = False
) -> QuerySet[Job]:
    """Those of ``jobs`` that ended before then and may be purged: whole batches, and none that still has work to do.

    A job of a batch goes with its batch. While a callback is still to be sent, its job stays.
    """
    children = Job.objects.filter(parent=OuterRef("pk"))
    waiting = Callback.objects.filter(state=Callback.State.PENDING)
    # A job was created before it ended: the index of a tenant's jobs by that time finds the old ones.
    rows = jobs.filter(parent=None, created_at__lt=before, finished_at__lt=before).exclude(
        Exists(children.unfinished())
        | Exists(waiting.filter(job=OuterRef("pk")))
        | Exists(waiting.filter(job__parent=OuterRef("pk")))
    )
    if anonymise:
        rows = rows.filter(anonymised_at=None)
    return rows.filter(status=Job.Status.FAILED) if failed_only else rows


def _purge(rows: QuerySet[Job], *, anonymise: bool, batch: int, at_most: int | None) -> int:
    """Single jobs so many a transaction, then batches one by one: a batch may have a thousand jobs."""
    has_children = Exists(Job.objects.filter(parent=OuterRef("pk")))
    total = 0
    for some, size in ((rows.exclude(has_children), batch), (rows.filter(has_children), 1)):
        while at_most is None or total < at_most:
            taken = _purge_some(some, anonymise=anonymise, size=size)
            if not taken:
                break
            total += taken
    return total


@transaction.atomic
def _purge_some(rows: QuerySet[Job], *, anonymise: bool, size: int) -> int:
    """Locked first, so that nobody retries them meanwhile; what somebody holds is left for the next time."""
    locked = rows.order_by("finished_at", "pk").select_for_update(skip_locked=True)
    parents = list(locked.values_list("pk", flat=True)[:size])
    children = Job.objects.filter(parent_id__in=parents)
    ended = children.exclude(status__in=Job.UNFINISHED).order_by("pk").select_for_update(skip_locked=True)
    ids = [*parents, *ended.values_list("pk", flat=True)]
    if len(ids) - len(parents) < children.count():
        return 0  # somebody holds one, or has just begun it again
    if anonymise:
        _anonymise(ids)
    else:
        _delete(ids)
    return len(ids)


def _delete(ids: list[uuid.UUID]) -> None:
    Callback.objects.filter(job_id__in=ids).delete()
    Job.objects.filter(pk__in=ids).delete()


def _anonymise(ids: list[uuid.UUID]) -> None:
    callbacks = Callback.objects.filter(job_id__in=ids).exclude(state=Callback.State.PENDING)
    CallbackAttempt.objects.filter(callback__in=callbacks.values("pk")).update(excerpt="")
    callbacks.update(body_sealed=b"", end_user="")
    JobStep.objects.filter(job_id__in=ids).update(result_sealed=None)
    Job.objects.filter(pk__in=ids).update(anonymised_at=timezone.now(), **BLANK)
