"""Telling this process's courier that there is a callback, once the transaction that made it is committed.

Nothing depends on it but latency: couriers look for themselves every ``JOB_POLL_S`` seconds.
"""

from __future__ import annotations

from django.db import router, transaction
from django.dispatch import Signal

from django_wp_ai.models import Callback

callbacks_waiting = Signal()


def tell_workers() -> None:
    """Send ``callbacks_waiting`` after the commit."""
    transaction.on_commit(_send, using=router.db_for_write(Callback), robust=True)


def _send() -> None:
    callbacks_waiting.send_robust(sender=Callback)
