"""What a job becomes: ended, or queued again. Each function gets a locked row and the database's time.

A transaction that locks more than one job locks a child before its parent, so none waits for another in a circle.
"""

from __future__ import annotations

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.db.models.functions import Now

from django_wp_ai.callbacks import outbox
from django_wp_ai.conf import settings
from django_wp_ai.jobs import registry, usage
from django_wp_ai.jobs.held import lock
from django_wp_ai.jobs.timeline import with_attempt
from django_wp_ai.jobs.waking import wake
from django_wp_ai.models import Job

CANCELLED_MESSAGE = "The job was cancelled."
LONGEST_WAIT_S = 24 * 3600.0


def end(
    job: Job,
    at: datetime,
    status: Job.Status,
    *,
    outcome: str = "",
    code: str = "",
    message: str = "",
    result_sealed: bytes | None = None,
) -> None:
    """End it: with what it has used, the callback that tells of it, and the count of the batch that waits for it."""
    if status == Job.Status.CANCELLED and not code:
        code, message = "cancelled", CANCELLED_MESSAGE
    changes: dict[str, Any] = {
        "status": status,
        "finished_at": at,
        "lease_until": None,
        "waiting_for": None,
        "error_code": code[:32],
        "error_message": _text(message)[:500],
        "timeline": _timeline(job, at, outcome or status.value, code),
        **usage.totals(job),
    }
    if result_sealed is not None:
        changes |= {"result_sealed": result_sealed, "progress": 100}
    _write(job, changes)
    if status != Job.Status.SUCCEEDED:
        _tell_kind(job, changes["error_code"], changes["error_message"])
    tell(job, has_callback=bool(job.callback_url), parent_id=job.parent_id)


def tell(job: Job, *, has_callback: bool, parent_id: uuid.UUID | None) -> None:
    """What follows from an ending, in its transaction: the callback, and the count of the batch that waits for it."""
    if has_callback:
        outbox.job_ended(job)
    if parent_id is not None:
        count_down(parent_id, 1)


def _tell_kind(job: Job, code: str, message: str) -> None:
    """What a kind itself keeps of its work must not say that it goes on."""
    kind = registry.kinds().get(job.kind)
    if kind is not None and kind.on_failure is not None:
        kind.on_failure(job, code, message)


def queue_again(job: Job, at: datetime, *, outcome: str, code: str = "", wait_s: float = 0.0, counts: bool) -> None:
    """Back into the queue for another attempt; ``counts``: whether the one that is over was one of ``max_attempts``."""
    _write(
        job,
        {
            "status": Job.Status.QUEUED,
            "lease_until": None,
            "run_after": at + timedelta(seconds=min(wait_s, LONGEST_WAIT_S)) if wait_s else Now(),
            "attempts": job.attempts if counts else max(0, job.attempts - 1),
            "timeline": _timeline(job, at, outcome, code),
            **usage.totals(job),
        },
    )
    if not wait_s:
        wake(job.pk)


def wait(job: Job, at: datetime, *, for_jobs: int) -> None:
    """Let it wait for its children; it goes on at once where none is left."""
    waiting = {
        "lease_until": None,
        "waiting_for": for_jobs,
        "attempts": max(0, job.attempts - 1),
        "timeline": _timeline(job, at, "waiting", ""),
    }
    _write(job, waiting)
    if not for_jobs:
        _go_on(job, at)


def count_down(parent_id: uuid.UUID, ended: int) -> None:
    """So many children have ended in this transaction; the last one lets the parent go on, exactly once."""
    # Locked whatever it looks like: it may be about to wait, in a transaction that can't see these endings.
    locked = lock(Job.objects.filter(pk=parent_id))
    if locked is None or locked[0].waiting_for is None:
        return
    parent, at = locked
    left = max(0, (parent.waiting_for or 0) - ended)
    if not left:
        _go_on(parent, at)
        return
    every = max(left, Job.objects.for_tenant(parent.tenant).filter(parent=parent_id).count())
    _write(parent, {"waiting_for": left, "progress": max(parent.progress, 99 * (every - left) // every)})


def resume(parent_id: uuid.UUID) -> bool:
    """Let a batch go on whose children have all ended without counting down, such as by being erased."""
    locked = lock(Job.objects.filter(pk=parent_id, waiting_for__isnull=False))
    if locked is None or Job.objects.for_tenant(locked[0].tenant).filter(parent=parent_id).unfinished().exists():
        return False
    _go_on(*locked)
    return True


def backoff_s(attempt: int) -> float:
    """How long to wait after so many attempts: random, so that jobs that failed together don't come back together."""
    base, longest = settings.job_retry_base_s, settings.job_retry_max_s
    return random.uniform(0, min(longest, base * 3 ** min(attempt - 1, 20)))  # noqa: S311 - no secret


def _go_on(parent: Job, at: datetime) -> None:
    if parent.cancel_requested_at is not None:
        end(parent, at, Job.Status.CANCELLED)
        return
    _write(parent, {"status": Job.Status.QUEUED, "waiting_for": None, "run_after": Now()})
    wake(parent.pk)


def _write(job: Job, changes: dict[str, Any]) -> None:
    Job.objects.filter(pk=job.pk).update(**changes)
    for name, value in changes.items():
        if not isinstance(value, Now):
            setattr(job, name, value)


def _timeline(job: Job, at: datetime, outcome: str, code: str) -> list[dict[str, Any]]:
    """With the attempt that is over now, if one is."""
    if job.status != Job.Status.RUNNING or job.waiting_for is not None:
        return list(job.timeline)
    return with_attempt(job, at, outcome, code)


def _text(message: str) -> str:
    """What a database takes: no NUL, no half of a surrogate pair."""
    return message.replace("\x00", "").encode("utf-8", "replace").decode()
