"""Telling workers that there is work, once the transaction that made it is committed.

Nothing depends on it but latency: a worker looks for itself every ``JOB_POLL_S`` seconds. ``jobs_waiting`` is sent with
the job's id; the edge that knows the task queue (``tasks``) listens.
"""

from __future__ import annotations

import logging
import uuid
from functools import partial

from django.db import router, transaction
from django.dispatch import Signal

from django_wp_ai.models import Job

logger = logging.getLogger("django_wp_ai.jobs")

jobs_waiting = Signal()


def wake(job_id: uuid.UUID) -> None:
    """Tell workers after the commit; a broker that is down is logged, and loses nothing."""
    transaction.on_commit(partial(_send, job_id), using=router.db_for_write(Job), robust=True)


def _send(job_id: uuid.UUID) -> None:
    for _, outcome in jobs_waiting.send_robust(sender=Job, job_id=job_id):
        if isinstance(outcome, Exception):
            logger.warning("Workers could not be told of a job: %s. They find it themselves.", type(outcome).__name__)
