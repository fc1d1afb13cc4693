"""What workers that died have left behind. Blocking; any number may sweep at the same time."""

from __future__ import annotations

import logging
import uuid

from django.utils import timezone

from django_wp_ai.jobs import transitions
from django_wp_ai.jobs.cancelling import cancel_children
from django_wp_ai.jobs.held import lock, one_transaction
from django_wp_ai.models import Job
from django_wp_ai.policy import budget

logger = logging.getLogger("django_wp_ai.jobs")

AT_ONCE = 500
LOST = "worker_lost"
LOST_MESSAGE = "The workers that ran the job stopped without ending it."


def sweep() -> int:
    """Queue jobs again whose worker let the lease run out, or fail them for good; how many. Mends batches, too."""
    lost = Job.objects.lost().order_by("lease_until").values_list("pk", "fence")
    swept = sum(_recover(pk, fence) for pk, fence in list(lost[:AT_ONCE]))
    return swept + _mend_batches()


def _recover(job_id: uuid.UUID, fence: int) -> bool:
    """One lost job; its calls that nobody will settle any more keep their worst case."""
    with one_transaction():
        locked = lock(Job.objects.lost().filter(pk=job_id, fence=fence))
        if locked is None:
            return False
        job, at = locked
        budget.settle_traces([job.pk], at=timezone.now())
        if job.cancel_requested_at is not None:
            transitions.end(job, at, Job.Status.CANCELLED, outcome="lost")
        elif job.attempts >= job.max_attempts:
            transitions.end(job, at, Job.Status.FAILED, outcome="lost", code=LOST, message=LOST_MESSAGE)
        else:
            # The first time it may have been anybody's fault; a job that kills its workers must not do so at once.
            wait_s = transitions.backoff_s(job.attempts) if job.attempts > 1 else 0.0
            transitions.queue_again(job, at, outcome="lost", code=LOST, wait_s=wait_s, counts=True)
    logger.warning("Job %s lost its worker; it is %s.", job.pk, job.status)
    if job.is_finished:
        cancel_children(job.pk)
    return True


def _mend_batches() -> int:
    """Go on with batches whose children are gone, and with cancelling that was interrupted."""
    mended = 0
    waiting = Job.objects.filter(status=Job.Status.RUNNING, waiting_for__isnull=False)
    idle = waiting.exclude(children__status__in=Job.UNFINISHED)
    for pk in list(idle.values_list("pk", flat=True)[:AT_ONCE]):
        with one_transaction():
            mended += transitions.resume(pk)
    ended = Job.objects.filter(status__in=[Job.Status.FAILED, Job.Status.CANCELLED])
    for parents in (waiting.filter(cancel_requested_at__isnull=False), ended):
        left = parents.filter(children__status__in=Job.UNFINISHED, children__cancel_requested_at=None)
        for pk in list(left.order_by().values_list("pk", flat=True).distinct()[:AT_ONCE]):
            mended += bool(cancel_children(pk))
    return mended
