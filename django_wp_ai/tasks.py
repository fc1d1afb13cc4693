"""What django-q2 runs: thin entry points, each safe to run twice and at the same time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from django_wp_ai.gateway import alerts, conversations, idempotency
from django_wp_ai.models import SpentNonce, StreamSlot
from django_wp_ai.policy import budget

#: A stream may run for an hour and no call does for longer; what is pending after two belongs to a process that died.
ABANDONED_AFTER = timedelta(hours=2)
DELETED_AT_ONCE = 1000


def tidy() -> dict[str, int]:
    """Settle calls that a dead process left pending, forget what has expired; how many of each."""
    now = timezone.now()
    return {
        "settled": budget.settle_stale(opened_before=now - ABANDONED_AFTER, at=now),
        "forgotten": _delete(SpentNonce.objects.filter(expires_at__lte=now)),
        "slots": _delete(StreamSlot.objects.filter(lease_until__lte=now)),
        "replies": idempotency.forget_expired(at=now),
        "conversations": conversations.purge_expired(now),
    }


def send_alerts() -> int:
    """Tell of budgets that are used; how many alerts were delivered."""
    return alerts.send_pending()


def _delete(rows: QuerySet[Any]) -> int:
    """Some at a time and in one order, so that nobody waits long for a lock, or in a circle."""
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:DELETED_AT_ONCE]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted
