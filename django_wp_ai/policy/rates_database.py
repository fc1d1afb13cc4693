"""Rate windows as rows, for sites without a shared cache and for the time that it is down: slower, as exact."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.models import RateWindow
from django_wp_ai.policy.limits import Limit, LimitStatus, RateDecision, decide
from django_wp_ai.policy.sliding import SlidingWindow

SWEEP_ROWS = 100

Rows = dict[str, RateWindow]
T = TypeVar("T")


def take(key: str, limits: Sequence[Limit], *, now: float | None) -> RateDecision:
    """Take all limits or none; raises DatabaseError. Call it outside a transaction, whose end would keep the locks."""
    keys = [_row_key(key, limit) for limit in limits]

    def change(rows: Rows, now_ms: int) -> RateDecision:
        windows = [
            SlidingWindow(limit, rows[row].buckets, now_ms=now_ms) for row, limit in zip(keys, limits, strict=True)
        ]
        waits = [window.retry_ms() for window in windows]
        if not any(waits):
            for row, window in zip(keys, windows, strict=True):
                window.take(window.limit.cost)
                _save(rows[row], window, now_ms)
        readings = [window.reading(retry_ms=wait) for window, wait in zip(windows, waits, strict=True)]
        return decide(key, limits, readings, store="database")

    return _under_lock(keys, now, change)


def peek(key: str, limits: Sequence[Limit], *, now: float | None) -> RateDecision:
    """Where the limits stand, from rows that nobody locks or makes for it; raises DatabaseError."""
    keys = [_row_key(key, limit) for limit in limits]
    rows = {row.key: row for row in RateWindow.objects.filter(key__in=keys).annotate(clock=Now())}
    clock = next((row.clock for row in rows.values()), timezone.now())
    now_ms = int((clock.timestamp() if now is None else now) * 1000)
    windows = [
        SlidingWindow(limit, rows[row].buckets if row in rows else {}, now_ms=now_ms)
        for row, limit in zip(keys, limits, strict=True)
    ]
    return decide(key, limits, [window.reading(retry_ms=0) for window in windows], store="database")


def adjust(key: str, changes: Sequence[tuple[LimitStatus, int]], *, now: float | None) -> None:
    """Count more, or give back where it was counted; raises DatabaseError."""
    keys = [_row_key(key, status.limit) for status, _ in changes]

    def change(rows: Rows, now_ms: int) -> None:
        for row, (status, amount) in zip(keys, changes, strict=True):
            window = SlidingWindow(status.limit, rows[row].buckets, now_ms=now_ms)
            if amount > 0:
                window.take(amount)
            else:
                window.give_back(-amount, bucket=status.bucket)
            _save(rows[row], window, now_ms)

    _under_lock(keys, now, change)


def _row_key(key: str, limit: Limit) -> str:
    text = f"{key}\x00{limit.window}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _under_lock(keys: Sequence[str], now: float | None, change: Callable[[Rows, int], T]) -> T:
    """Run ``change`` on the rows, locked in one order, and the database's clock in milliseconds."""
    locked = RateWindow.objects.select_for_update().filter(key__in=keys).order_by("key").annotate(clock=Now())
    while True:
        with transaction.atomic():
            if not connection.features.has_select_for_update:
                _make(keys)  # SQLite: a transaction that writes first waits for its turn, one that reads first fails
            found = list(locked.all())
            if len(found) == len(keys):
                now_ms = int((found[0].clock.timestamp() if now is None else now) * 1000)
                return change({row.key: row for row in found}, now_ms)
        _make(keys)  # not above: who holds some rows and waits for others' new ones can be waited for in turn


def _make(keys: Sequence[str]) -> None:
    """Make the rows that are missing; now and then is also when rows that nobody asks for any more go."""
    now = timezone.now()
    new = [RateWindow(key=key, expires_at=now + timedelta(days=1)) for key in sorted(keys)]
    RateWindow.objects.bulk_create(new, ignore_conflicts=True)
    with transaction.atomic():
        old = RateWindow.objects.select_for_update(skip_locked=True).filter(expires_at__lte=now).exclude(key__in=keys)
        RateWindow.objects.filter(key__in=list(old.values_list("key", flat=True)[:SWEEP_ROWS])).delete()


def _save(row: RateWindow, window: SlidingWindow, now_ms: int) -> None:
    row.buckets = window.stored()
    row.expires_at = datetime.fromtimestamp(now_ms / 1000, tz=UTC) + timedelta(seconds=2 * window.limit.window_s)
    row.save(update_fields=["buckets", "expires_at"])
