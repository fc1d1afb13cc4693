"""How long callbacks are kept: as long as their tenant keeps jobs. Those of a job go with it; here go all others."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from django_wp_ai.models import Callback, CallbackAttempt, Tenant

PURGE_BATCH = 500


def purge_expired(now: datetime, *, batch: int = PURGE_BATCH) -> int:
    """Blocking: delete, or blank the texts of, callbacks that ended longer ago than their tenant keeps jobs; how many.

    So many a transaction. What waits for a tenant that is not active is cancelled after the same time.
    """
    total = 0
    for days, retention in Tenant.objects.order_by().values_list("job_days", "job_retention").distinct():
        tenants = Tenant.objects.filter(job_days=days, job_retention=retention)
        before = now - timedelta(days=days)
        _cancel_waiting(tenants.filter(is_active=False), before)
        old = Callback.objects.filter(tenant__in=tenants, ended_at__lt=before)
        keeps_figures = retention == Tenant.Retention.ANONYMISE
        if keeps_figures:
            old = old.exclude(body_sealed=b"", end_user="")
        while taken := _purge(old, keeps_figures=keeps_figures, at_most=batch):
            total += taken
    return total


def _cancel_waiting(tenants: QuerySet[Tenant], before: datetime) -> None:
    waiting = Callback.objects.filter(tenant__in=tenants, state=Callback.State.PENDING, created_at__lt=before)
    waiting.update(state=Callback.State.CANCELLED, ended_at=Now(), lease_until=None)


@transaction.atomic
def _purge(old: QuerySet[Callback], *, keeps_figures: bool, at_most: int) -> int:
    """What somebody else holds is left for the next time."""
    locked = old.order_by("ended_at", "pk").select_for_update(of=("self",), skip_locked=True)
    ids = list(locked.values_list("pk", flat=True)[:at_most])
    rows = Callback.objects.filter(pk__in=ids)
    if keeps_figures:
        CallbackAttempt.objects.filter(callback__in=ids).update(excerpt="")
        rows.update(body_sealed=b"", end_user="")
    else:
        rows.delete()
    return len(ids)
