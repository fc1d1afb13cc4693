"""Who works on what: claims with leases, renewals, what is given back, and how much is waiting. Blocking.

A lease is held by the database's clock, so workers whose own clocks differ never run a job twice at the same time.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, Max, Min, prefetch_related_objects
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.jobs import claim_rows, claim_statement
from django_wp_ai.jobs.ending import give_back
from django_wp_ai.jobs.held import Claim, is_postgresql
from django_wp_ai.jobs.sweeping import sweep
from django_wp_ai.models import Job
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.policy import budget

__all__ = ["Claim", "Depth", "Renewed", "claim", "depth", "give_back", "renew", "seconds_to_next", "sweep"]

#: Outcomes of an attempt whose worker may have died while it asked a provider.
_CUT_OFF = frozenset({"lost", "given_back"})


@dataclass(frozen=True, slots=True)
class Renewed:
    """Of the jobs that were to be held longer: which are lost, and which of the others are to be cancelled."""

    lost: frozenset[uuid.UUID]
    cancelled: frozenset[uuid.UUID]


@dataclass(frozen=True, slots=True)
class Depth:
    """How much waits, how much runs (without batches that wait), and how long the oldest job has been due."""

    queued: int
    running: int
    oldest_age_s: float


def claim(*, worker: str, at_most: int) -> list[Claim]:
    """Up to so many jobs that are this worker's for ``JOB_LEASE_S``: of each site in turn, of one by priority and time.

    No site gets more than its limit of running jobs, over all workers. To be called outside a transaction.
    """
    if at_most < 1:
        return []
    rows = claim_statement if is_postgresql() else claim_rows
    jobs = rows.claim(
        worker=worker[:128], at_most=at_most, per_tenant=settings.jobs_per_tenant, lease_s=settings.job_lease_s
    )
    prefetch_related_objects(jobs, "tenant", "credential")
    attach_budgets({job.tenant_id: job.tenant for job in jobs}.values())
    cut_off = [job.pk for job in jobs if job.timeline and job.timeline[-1]["outcome"] in _CUT_OFF]
    if cut_off:
        budget.settle_traces(cut_off, at=timezone.now())
    return [Claim(job, job.fence) for job in jobs]


def renew(held: Mapping[uuid.UUID, int]) -> Renewed:
    """Hold jobs, by id and fencing token, for another ``JOB_LEASE_S``."""
    if not held:
        return Renewed(frozenset(), frozenset())
    rows = claim_statement if is_postgresql() else claim_rows
    kept = rows.renew(held, lease_s=settings.job_lease_s)
    return Renewed(frozenset(held.keys() - kept.keys()), frozenset(pk for pk, cancelled in kept.items() if cancelled))


def seconds_to_next() -> float | None:
    """How long until a job becomes due that is not due yet; None where none is to come."""
    later = Job.objects.filter(status=Job.Status.QUEUED, tenant__is_active=True, run_after__gt=Now())
    found = later.aggregate(at=Min("run_after"), clock=Max(Now()))
    return None if found["at"] is None else max(0.0, (found["at"] - found["clock"]).total_seconds())


def depth() -> Depth:
    """The queue of all sites together, as far as it is due."""
    running = Job.objects.filter(status=Job.Status.RUNNING, waiting_for=None).count()
    found = Job.objects.due().aggregate(jobs=Count("pk"), oldest=Min("run_after"), clock=Max(Now()))
    age: timedelta = found["clock"] - found["oldest"] if found["oldest"] is not None else timedelta()
    return Depth(queued=found["jobs"], running=running, oldest_age_s=max(0.0, age.total_seconds()))
