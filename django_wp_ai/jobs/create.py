"""A job comes in: checked, counted, written with its wake-up in one transaction. Blocking."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.db import connections, router
from django.db.models import F
from django.db.models.functions import Now

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Conflict, Invalid, RateLimited
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs import inserting, payload, room
from django_wp_ai.jobs.batches import create_children
from django_wp_ai.jobs.held import is_postgresql, one_transaction
from django_wp_ai.jobs.new import NewJob, row_of
from django_wp_ai.jobs.waking import wake
from django_wp_ai.models import Job, Tenant
from django_wp_ai.policy import limits, rate_fields, rates

__all__ = ["Created", "NewJob", "create", "create_children"]


@dataclass(frozen=True, slots=True)
class Created:
    """The job; ``is_new`` is False where it was there already. ``fields`` are header fields that tell of its limits."""

    job: Job
    is_new: bool
    fields: dict[str, str] = field(default_factory=dict)


def create(principal: Principal, new: NewJob, *, scope: str = "jobs") -> Created:
    """Write a job, or find the one that this call has made before.

    That one bears the same idempotency key, or has the same input within ``JOB_DEDUPE_S``. Raises Forbidden without
    the ``scope``; Invalid, with fields, for what breaks a rule, and for a key that belongs to another call;
    RateLimited, also while too many jobs of the site wait. A refused call uses nothing up.
    """
    require_scope(principal, scope)
    job = row_of(principal, new)
    if principal.credential is None or principal.method == limits.JOB:  # nobody outside, or counted when it began
        return _write_uncounted(job)
    taken: list[limits.RateDecision] = []
    may_be_known = bool(job.idempotency_key or (settings.job_dedupe_s and not new.is_internal))
    try:
        if not may_be_known:
            return _write(job, taken)  # one statement, which is a transaction of its own
        with one_transaction():
            if job.idempotency_key and is_postgresql():
                return _write_first(job, taken)
            _wait_for_twins(job)
            known = _known(job)
            return _write(job, taken) if known is None else Created(known, is_new=False)
    except BaseException:
        for decision in taken:
            if decision.store == "cache" or not may_be_known:  # else what was counted went with the transaction
                rates.give_back(decision)
        raise


def _write(job: Job, taken: list[limits.RateDecision]) -> Created:
    """Write what is known to be new, if the queue and the rates allow it; ``taken`` gets what it takes of them."""
    room.require(job.tenant)
    taken.append(_take(job.tenant, job.end_user))
    is_due = isinstance(job.run_after, Now)
    inserting.insert(job)
    return _written(job, taken, is_due=is_due)


def _write_uncounted(job: Job) -> Created:
    """Work of the operator, or of a job: it has no key, and takes nothing of the site's limits."""
    room.require(job.tenant)
    is_due = isinstance(job.run_after, Now)
    inserting.insert(job)
    if is_due:
        wake(job.pk)
    return Created(job, is_new=True)


def _write_first(job: Job, taken: list[limits.RateDecision]) -> Created:
    """As ``_write`` for a key that may have its job: the row's constraint tells, and a refusal takes the row back.

    So calls of the same wait for the first of them, and don't use up each other's limit.
    """
    is_due = isinstance(job.run_after, Now)
    if not inserting.insert(job):
        known = _known(job)
        if known is None:  # deleted in this very moment
            raise Conflict("The job with this idempotency key is being deleted.", retry_after_s=1.0)
        return Created(known, is_new=False)
    room.require(job.tenant, written=1)
    taken.append(_take(job.tenant, job.end_user))
    return _written(job, taken, is_due=is_due)


def _written(job: Job, taken: list[limits.RateDecision], *, is_due: bool) -> Created:
    if is_due:
        wake(job.pk)
    return Created(job, is_new=True, fields=rate_fields.ratelimit_fields(taken[0]))


def _take(tenant: Tenant, end_user: str) -> limits.RateDecision:
    decision = rates.take(limits.tenant_key(tenant), limits.job_limits(tenant, end_user=end_user))
    try:
        decision.raise_if_refused()
    except RateLimited as refused:
        refused.fields.update(rate_fields.ratelimit_fields(decision))
        raise
    return decision


def _known(job: Job) -> Job | None:
    """The job that this call has made before."""
    mine = Job.objects.for_tenant(job.tenant).select_related("tenant")
    if job.idempotency_key:
        found = mine.filter(idempotency_key=job.idempotency_key).first()
        if found is not None and found.input_hash != job.input_hash:
            raise Invalid("This idempotency key belongs to another call.")
        return found
    lately = Now() - timedelta(seconds=settings.job_dedupe_s)
    useful = mine.exclude(status__in=[Job.Status.FAILED, Job.Status.CANCELLED])
    return useful.filter(input_hash=job.input_hash, created_at__gte=lately).order_by("created_at").first()


def _wait_for_twins(job: Job) -> None:
    """Let calls that may be the same one come one after the other, until the transaction ends."""
    if not is_postgresql():
        Job.objects.filter(pk=UUID(int=0)).update(fence=F("fence"))  # SQLite: whoever wrote waits for its turn
        return
    name = payload.digest("job", job.tenant.pk, job.input_hash)
    with connections[router.db_for_write(Job)].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [int(name[:16], 16) - 2**63])
