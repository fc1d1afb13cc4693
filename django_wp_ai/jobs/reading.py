"""Jobs as a site sees them. Blocking, and changes nothing."""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.jobs import payload
from django_wp_ai.jobs.cursor import cursor_of, position
from django_wp_ai.models import Job, Tenant
from django_wp_ai.security.secrets import UndecryptableSecret

logger = logging.getLogger("django_wp_ai.jobs")

MAX_PAGE = 100
UNREADABLE = {"code": "unreadable", "message": "The result can't be read any more: its encryption key is gone."}


@dataclass(frozen=True, slots=True)
class Page:
    """Some jobs, newest first; an empty ``next_cursor`` ends the list."""

    jobs: list[Job]
    next_cursor: str


def find(tenant: Tenant, job_id: uuid.UUID) -> Job:
    """One job; raises NotFound, also for another site's."""
    found = Job.objects.for_tenant(tenant).select_related("tenant").filter(pk=job_id).first()
    if found is None:
        raise NotFound
    return found


def page(
    tenant: Tenant,
    *,
    status: str = "",
    kind: str = "",
    cursor: str = "",
    limit: int = 50,
    parent: uuid.UUID | None = None,
    end_user: str = "",
) -> Page:
    """Jobs of a site, without those that belong to a batch; with ``parent`` those that belong to it.

    With ``end_user`` those of that user only.
    """
    if status and status not in Job.Status.values:
        raise _invalid("status", f"One of {', '.join(Job.Status.values)}.")
    if not 1 <= limit <= MAX_PAGE:
        raise _invalid("limit", f"From 1 to {MAX_PAGE}.")
    rows = Job.objects.for_tenant(tenant).filter(parent=parent)
    if status:
        rows = rows.filter(status=status)
    if end_user:
        rows = rows.filter(end_user=end_user)
    if kind:
        rows = rows.filter(kind=kind)
    if cursor:
        at, pk = position(cursor)
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__lt=pk))
    found = list(rows.select_related("tenant").order_by("-created_at", "-id")[: limit + 1])
    return Page(found[:limit], cursor_of(found[limit - 1]) if len(found) > limit else "")


def describe(job: Job, *, with_result: bool = True) -> dict[str, Any]:
    """The job in the shape of ``GET v1/jobs/{id}`` (PROTOCOL §3)."""
    result, error = (None, None)
    if job.status in (Job.Status.FAILED, Job.Status.CANCELLED):
        error = {"code": job.error_code, "message": job.error_message}
    elif with_result and job.result_sealed:
        result, error = _result(job)
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "status": str(job.status),
        "progress": job.progress,
        "result": result,
        "error": error,
        "usage": {
            "input_tokens": job.input_tokens,
            "output_tokens": job.output_tokens,
            "cost_usd": None if job.cost_usd is None else f"{job.cost_usd.normalize():f}",
            "estimated": job.is_estimated,
        },
        "attempts": job.attempts,
        "metadata": job.metadata,
        "created_at": _iso(job.created_at),
        "started_at": _iso(job.started_at),
        "finished_at": _iso(job.finished_at),
    }


def timings(job: Job) -> dict[str, float]:
    """Milliseconds for ``Server-Timing``: in the queue before its first attempt, in workers' hands, at providers."""
    now = job.finished_at or timezone.now()
    begun = max(job.created_at, job.run_after) if job.started_at is None else job.created_at
    queue_s = ((job.started_at or now) - begun).total_seconds()
    attempts = [
        (datetime.fromisoformat(one["ended_at"]) - datetime.fromisoformat(one["started_at"])).total_seconds()
        for one in job.timeline
    ]
    is_held = job.status == Job.Status.RUNNING and job.waiting_for is None and job.claimed_at is not None
    if is_held and job.claimed_at is not None:
        attempts.append((now - job.claimed_at).total_seconds())
    return {
        "queue": round(max(0.0, queue_s) * 1000, 3),
        "worker": round(max(0.0, sum(attempts)) * 1000, 3),
        "provider": float(job.provider_ms),
    }


def _result(job: Job) -> tuple[Any, dict[str, str] | None]:
    try:
        return payload.unseal(job.result_sealed or b""), None
    except UndecryptableSecret as error:
        logger.error("The result of job %s is lost. %s", job.pk, error)
        return None, dict(UNREADABLE)


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}], param=field)
