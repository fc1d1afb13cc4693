"""What django-q2 runs: thin entry points, each safe to run twice and at the same time."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from django_wp_ai.models import SpentNonce
from django_wp_ai.policy import budget

#: No call lasts this long; a row that is still pending belongs to a process that died.
ABANDONED_AFTER = timedelta(hours=1)


def tidy() -> dict[str, int]:
    """Settle calls that a dead process left pending and forget spent nonces that no longer matter; how many of each."""
    now = timezone.now()
    settled = budget.settle_stale(opened_before=now - ABANDONED_AFTER, at=now)
    forgotten, _ = SpentNonce.objects.filter(expires_at__lte=now).delete()
    return {"settled": settled, "forgotten": forgotten}
