"""What django-q2 runs: thin entry points, each safe to run twice and at the same time."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from django_wp_ai import workers
from django_wp_ai.callbacks import alerts as endpoint_alerts
from django_wp_ai.callbacks import retention as callback_retention
from django_wp_ai.gateway import alerts, conversations, digests, idempotency, inbound
from django_wp_ai.jobs import claims
from django_wp_ai.jobs import retention as job_retention
from django_wp_ai.models import SpentNonce, StreamSlot
from django_wp_ai.policy import budget
from django_wp_ai.rag import index
from django_wp_ai.rag.extract import cached as extractions
from django_wp_ai.rag.ingest import retention as rag_retention
from django_wp_ai.rag.ingest import start_due

#: A stream may run for an hour and no call does for longer; what is pending after two belongs to a process that died.
ABANDONED_AFTER = timedelta(hours=2)
DELETED_AT_ONCE = 1000


def work(job_id: str) -> None:
    """A wake-up: the process that got it looks for jobs now. It does none itself, so it can't time out."""
    workers.poke(uuid.UUID(job_id))


def sweep_jobs() -> int:
    """Take back what dead workers held, should no living one have done so; how many jobs."""
    swept = claims.sweep()
    workers.poke()
    return swept


def tidy() -> dict[str, int]:
    """Settle calls that a dead process left pending, forget what has expired; how many of each."""
    now = timezone.now()
    jobs = job_retention.purge_expired(now)
    return {
        "settled": budget.settle_stale(opened_before=now - ABANDONED_AFTER, at=now),
        "forgotten": _delete(SpentNonce.objects.filter(expires_at__lte=now)),
        "slots": _delete(StreamSlot.objects.filter(lease_until__lte=now)),
        "replies": idempotency.forget_expired(at=now),
        "conversations": conversations.purge_expired(now),
        "jobs": jobs.deleted,
        "anonymised_jobs": jobs.anonymised,
        "events": inbound.forget_old(),
        "callbacks": callback_retention.purge_expired(now),
        "extractions": extractions.forget_unused(now),
        "uploads": rag_retention.forget_uploads(now),
        "passages": rag_retention.forget_unfinished(now),
    }


def keep_indexes() -> int:
    """Make the indexes that large sites miss, move sites to the embedding model that is wanted now, and look through
    those that are due; how many jobs were begun."""
    index.start_making()
    return start_due()


def send_alerts() -> int:
    """Tell of budgets that are used and of endpoints that were switched off; how many alerts were delivered."""
    return alerts.send_pending() + endpoint_alerts.send_pending()


def send_digests() -> int:
    """Mail the digests whose day or week has ended; how many were sent."""
    return digests.send_due()


def process_inbound() -> int:
    """Work on events from outside that wait; how many were done."""
    return sum(iter(inbound.process_waiting, 0))


def _delete(rows: QuerySet[Any]) -> int:
    """Some at a time and in one order, so that nobody waits long for a lock, or in a circle."""
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
