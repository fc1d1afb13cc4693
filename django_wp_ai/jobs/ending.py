"""How a worker lets go of a job. Each function changes nothing and returns False where the claim is lost. Blocking.

What belongs to an ending is in its transaction: the state, the usage, the callback, the count of the batch.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django_wp_ai.jobs import ending_statement, payload, transitions
from django_wp_ai.jobs.cancelling import cancel_children, request_cancel, retry_ended
from django_wp_ai.jobs.held import Claim, is_postgresql, lock_held, one_transaction
from django_wp_ai.models import Job

__all__ = [
    "end_cancelled",
    "fail",
    "give_back",
    "request_cancel",
    "retry_ended",
    "retry_later",
    "succeed",
    "wait_for_children",
]

MAX_RESULT_BYTES = 1024 * 1024
#: For so long after its first attempt a job is tried again that is refused for a while and not for good.
PATIENCE = timedelta(hours=24)


def succeed(claim: Claim, result: Any) -> bool:
    """End it with a JSON-serialisable result; one of more than a megabyte ends it as failed, ``too_large``.

    So does one with a number that JSON has not, ``invalid_result``: no client could read the job.
    """
    try:
        text = json.dumps(result, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return fail(claim, code="invalid_result", message="The result has a number that is not finite.")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_RESULT_BYTES:
        return fail(claim, code="too_large", message="The result is too large to be kept.")
    sealed = payload.seal(result)
    with one_transaction():
        if is_postgresql() and (ended := ending_statement.succeed(claim, sealed)) is not None:
            transitions.tell(claim.job, has_callback=ended.has_callback, parent_id=ended.parent_id)
            return True
        if (held := lock_held(claim)) is None:
            return False
        transitions.end(*held, Job.Status.SUCCEEDED, result_sealed=sealed)
    return True


def fail(claim: Claim, *, code: str, message: str) -> bool:
    """End it as failed; the message is shown to the site."""
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        transitions.end(*held, Job.Status.FAILED, code=code, message=message)
    cancel_children(claim.job.pk)
    return True


def end_cancelled(claim: Claim) -> bool:
    """End it as cancelled, and with it what it has begun."""
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        transitions.end(*held, Job.Status.CANCELLED)
    cancel_children(claim.job.pk)
    return True


def retry_later(claim: Claim, *, code: str, message: str, after_s: float | None = None, counts: bool = True) -> bool:
    """Try it again after ``after_s`` at the earliest, or fail with ``code`` where it has been tried enough.

    An attempt that ``counts`` is one of ``max_attempts``; one that doesn't may be repeated for 24 hours.
    """
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        job, at = held
        begun = job.started_at or job.created_at
        used_up = job.attempts >= job.max_attempts if counts else at - begun >= PATIENCE
        if job.cancel_requested_at is not None:
            transitions.end(job, at, Job.Status.CANCELLED)
        elif used_up:
            transitions.end(job, at, Job.Status.FAILED, code=code, message=message)
        else:
            wait_s = (after_s or 0.0) + transitions.backoff_s(job.attempts if counts else 1)
            transitions.queue_again(job, at, outcome="retried", code=code, wait_s=wait_s, counts=counts)
    if job.is_finished:
        cancel_children(job.pk)
    return True


def give_back(claim: Claim) -> bool:
    """Let another worker have it at once, as if this one had not begun: the worker stops."""
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        job, at = held
        if job.cancel_requested_at is not None:
            transitions.end(job, at, Job.Status.CANCELLED)
        else:
            transitions.queue_again(job, at, outcome="given_back", counts=False)
    if job.is_finished:
        cancel_children(job.pk)
    return True


def wait_for_children(claim: Claim) -> bool:
    """Let it wait, held by nobody, until its children have ended; then it is queued again."""
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        job, at = held
        # Counted after the lock: a child that ends from now on waits for it and counts itself down.
        left = Job.objects.for_tenant(job.tenant).filter(parent=job.pk).unfinished().count()
        transitions.wait(job, at, for_jobs=left)
    if job.cancel_requested_at is not None:
        cancel_children(job.pk)
    return True
