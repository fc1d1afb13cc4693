"""Cancelling and trying again, as a site or an operator asks for it. Blocking."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db.models.functions import Now

from django_wp_ai.exceptions import Conflict, NotFound
from django_wp_ai.jobs import registry, transitions
from django_wp_ai.jobs.held import lock, one_transaction
from django_wp_ai.jobs.waking import wake
from django_wp_ai.models import Job, Tenant

AT_ONCE = 200


def request_cancel(tenant: Tenant, job_id: uuid.UUID) -> Job:
    """Cancel a queued job at once; a running one is told, and ends at its worker's next renewal of the lease.

    A batch takes its children along. Raises NotFound, and Conflict for a job that has ended.
    """
    with one_transaction():
        job, at = _locked(tenant, job_id)
        if job.is_finished:
            raise Conflict(f"The job has ended: {job.status}.")
        if job.status == Job.Status.QUEUED:
            transitions.end(job, at, Job.Status.CANCELLED)
        elif job.cancel_requested_at is None:
            Job.objects.filter(pk=job.pk).update(cancel_requested_at=at)
            wake(job.pk)
    cancel_children(job.pk)
    return Job.objects.for_tenant(tenant).select_related("tenant").get(pk=job_id)


def cancel_children(parent_id: uuid.UUID) -> int:
    """Cancel what a batch has begun and not ended; how many were still queued."""
    children = Job.objects.filter(parent=parent_id)
    if not children.unfinished().exists():
        return 0
    cancelled = 0
    while ended := _cancel_queued(parent_id):
        cancelled += ended
    told = children.filter(status=Job.Status.RUNNING, cancel_requested_at=None)
    for pk in list(told.order_by("pk").values_list("pk", flat=True)):
        if told.filter(pk=pk).update(cancel_requested_at=Now()):
            wake(pk)
    for pk in list(children.filter(waiting_for__isnull=False).values_list("pk", flat=True)):
        cancel_children(pk)
    return cancelled


def _cancel_queued(parent_id: uuid.UUID) -> int:
    """Some of the queued children, in one transaction; those that never ran have nothing to be counted."""
    queued = Job.objects.filter(parent=parent_id, status=Job.Status.QUEUED)
    with one_transaction():
        ids = list(queued.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])
        # All of them before the first one's end locks the batch: who ends one of them meanwhile locks in that order.
        locked = [row for row in [lock(queued.filter(pk=pk)) for pk in ids] if row is not None]
        for row in locked:
            transitions.end(*row, Job.Status.CANCELLED)
    return len(locked)


def retry_ended(tenant: Tenant, job_id: uuid.UUID) -> Job:
    """Queue a failed or cancelled job again with all its attempts; what it paid for and finished stays done.

    A batch does so with its failed and cancelled children. Raises NotFound, and Conflict for any other job.
    """
    again = (Job.Status.FAILED, Job.Status.CANCELLED)
    with one_transaction():
        job, _ = _locked(tenant, job_id)
        if job.status not in again:
            raise Conflict(f"Only failed and cancelled jobs are tried again; this one is {job.status}.")
        if job.parent_id is not None:
            raise Conflict("The job is part of a batch, which can be tried again as a whole.")
        if job.anonymised_at is not None:
            raise Conflict("The input of the job is no longer kept.")
        _require_single(job)
        fresh = {
            "status": Job.Status.QUEUED,
            "attempts": 0,
            "run_after": Now(),
            "started_at": None,
            "finished_at": None,
            "cancel_requested_at": None,
            "error_code": "",
            "error_message": "",
            "progress": 0,
        }
        mine = Job.objects.for_tenant(tenant)
        mine.filter(parent=job.pk, status__in=again).update(**fresh)
        mine.filter(pk=job.pk).update(**fresh)
        wake(job.pk)
    return mine.select_related("tenant").get(pk=job_id)


def _require_single(job: Job) -> None:
    kind = registry.kinds().get(job.kind)
    if kind is None or not kind.single:
        return
    Tenant.objects.select_for_update(no_key=True).get(pk=job.tenant_id)  # of two at once one sees the other
    if Job.objects.for_tenant(job.tenant).filter(kind=job.kind).unfinished().exists():
        raise Conflict("Another job of this kind has not ended yet.")


def _locked(tenant: Tenant, job_id: uuid.UUID) -> tuple[Job, datetime]:
    locked = lock(Job.objects.for_tenant(tenant).filter(pk=job_id))
    if locked is None:
        raise NotFound
    return locked
