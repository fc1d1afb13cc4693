"""Claims and renewals where ``claim_statement`` can't run: on SQLite, whose writers come one after the other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime

from django.db.models import Count, F, Q
from django.db.models.functions import Coalesce, Now

from django_wp_ai.jobs.held import from_now, one_transaction
from django_wp_ai.models import Job, Tenant

AT_ONCE = 200  # conditions in one statement


def claim(*, worker: str, at_most: int, per_tenant: int, lease_s: float) -> list[Job]:
    """Rows that are the worker's now."""
    with one_transaction():
        # A transaction that writes first waits for its turn; what it reads after that stays true until it ends.
        Job.objects.filter(pk=uuid.UUID(int=0)).update(fence=F("fence"))
        places = sorted(_places(at_most, per_tenant))[:at_most]
        ids = [pk for _, _, pk in places]
        Job.objects.filter(pk__in=ids, status=Job.Status.QUEUED).update(
            status=Job.Status.RUNNING,
            fence=F("fence") + 1,
            attempts=F("attempts") + 1,
            worker=worker,
            lease_until=from_now(lease_s),
            claimed_at=Now(),
            started_at=Coalesce("started_at", Now()),
        )
        return list(Job.objects.filter(pk__in=ids))


def _places(at_most: int, per_tenant: int) -> Iterator[tuple[int, datetime, uuid.UUID]]:
    """The first jobs of each tenant by the number of its jobs that would run with it, then by their time."""
    running = Q(jobs__status=Job.Status.RUNNING, jobs__waiting_for=None)
    waiting = Job.objects.filter(status=Job.Status.QUEUED).order_by().values("tenant").distinct()
    tenants = Tenant.objects.filter(pk__in=waiting, is_active=True).annotate(running=Count("jobs", filter=running))
    for tenant in tenants.order_by("pk"):
        limit = per_tenant if tenant.max_running_jobs is None else tenant.max_running_jobs
        due = Job.objects.due().for_tenant(tenant).order_by("-priority", "run_after", "pk")
        room = max(0, min(limit - tenant.running, at_most))
        for place, (pk, run_after) in enumerate(due.values_list("pk", "run_after")[:room], start=tenant.running + 1):
            yield place, run_after, pk


def renew(held: Mapping[uuid.UUID, int], *, lease_s: float) -> dict[uuid.UUID, bool]:
    """Those that are still held, and whether each is to be cancelled."""
    kept: dict[uuid.UUID, bool] = {}
    pairs = list(held.items())
    for start in range(0, len(pairs), AT_ONCE):
        mine = Q()
        for pk, fence in pairs[start : start + AT_ONCE]:
            mine |= Q(pk=pk, fence=fence)
        rows = Job.objects.filter(mine, status=Job.Status.RUNNING, waiting_for=None)
        with one_transaction():
            rows.update(lease_until=from_now(lease_s))
            kept |= {pk: at is not None for pk, at in rows.values_list("pk", "cancel_requested_at")}
    return kept
