"""Which worker delivers which callback: held by a lease in database time and a fencing token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.db.models.functions import Now

from django_wp_ai.conf import settings
from django_wp_ai.models import Callback, Tenant
from django_wp_ai.models.callback import CallbackQuerySet

#: What a lease lasts beyond the time that an attempt may take: reading and noting it, on a busy machine.
MARGIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Claim:
    """A callback that this worker holds, as it was when claimed."""

    callback: Callback
    fence: int


@transaction.atomic
def claim(*, at_most: int) -> list[Claim]:
    """Blocking: take callbacks that are due, from every site about as many.

    Of one site at most ``CALLBACKS_PER_TENANT`` are held at a time, over all workers: its row is locked while its are
    counted and taken. A site that another worker is taking from is left out this time.
    """
    tenants = list(_tenants_with_work()[:at_most])
    share = -(-at_most // max(1, len(tenants)))
    found: list[Claim] = []
    for tenant in tenants:
        found += _of_tenant(tenant, at_most=min(share, at_most - len(found)))
    return found


def _deliverable() -> CallbackQuerySet:
    """Due, and not behind an earlier one of the same job."""
    earlier = Callback.objects.filter(
        job=OuterRef("job"), sequence__lt=OuterRef("sequence"), state=Callback.State.PENDING
    )
    return Callback.objects.due().filter(~Exists(earlier))


def _tenants_with_work() -> QuerySet[Tenant]:
    """In random order, so that nobody is always first; locked.

    Whether what is due stands behind another is not asked here: that is cheap for some callbacks, not for all.
    """
    waiting = Exists(Callback.objects.due().filter(tenant=OuterRef("pk")))
    active = Tenant.objects.filter(waiting, is_active=True).order_by("?")
    return active.select_for_update(of=("self",), skip_locked=True, no_key=True)


def _of_tenant(tenant: Tenant, *, at_most: int) -> list[Claim]:
    held = Callback.objects.for_tenant(tenant).filter(state=Callback.State.PENDING, lease_until__gte=Now()).count()
    room = min(at_most, settings.callbacks_per_tenant - held)
    if room <= 0:
        return []
    due = _deliverable().for_tenant(tenant).select_related("endpoint", "tenant").order_by("next_attempt_at")
    rows = due.select_for_update(of=("self",), skip_locked=True)[:room]
    return [Claim(row, row.fence + 1) for row in rows if _take(row)]


def _take(row: Callback) -> bool:
    """Whether nobody took it since it was read, on databases that lock no rows."""
    lease = timedelta(seconds=settings.callback_timeout_s + MARGIN_S)
    unchanged = Callback.objects.due().filter(pk=row.pk, fence=row.fence)
    return bool(unchanged.update(fence=F("fence") + 1, lease_until=Now() + lease))


def release(claims: Sequence[Claim]) -> None:
    """Blocking: give back what was not finished, for another worker to take at once."""
    for one in claims:
        Callback.objects.held(one.callback.pk, one.fence).update(lease_until=None)
