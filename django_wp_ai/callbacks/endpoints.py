"""The URLs that take callbacks: found or made, switched off when they are gone or fail for days, on again."""

from __future__ import annotations

import hashlib
import logging
from datetime import timedelta
from functools import partial

from django.db import transaction
from django.db.models import Case, F, Q, When
from django.db.models.functions import Now

from django_wp_ai.conf import settings
from django_wp_ai.models import Callback, CallbackEndpoint, Tenant

logger = logging.getLogger("django_wp_ai.callbacks")

ENDPOINT_DISABLED = "endpoint_disabled"
#: An endpoint of which nothing was wanted for so long begins anew: longer than the longest wait between attempts.
QUIET = timedelta(days=2)
SUCCESS_NOTED_EVERY = timedelta(minutes=1)

Reason = CallbackEndpoint.Reason


def endpoint_for(tenant: Tenant, url: str) -> CallbackEndpoint:
    """The tenant's row for this URL, made when it is new; safe when several make it at once."""
    url_hash = hashlib.sha256(url.encode("utf-8", "replace")).hexdigest()
    rows = CallbackEndpoint.objects.for_tenant(tenant)
    return rows.get_or_create(tenant=tenant, url_hash=url_hash, defaults={"url": url})[0]


def succeeded(endpoint: CallbackEndpoint) -> None:
    """Note a success: failures before it no longer count."""
    stale = Q(failing_since__isnull=False) | Q(last_success_at=None)
    stale |= Q(last_success_at__lt=Now() - SUCCESS_NOTED_EVERY)
    CallbackEndpoint.objects.filter(stale, pk=endpoint.pk).update(failing_since=None, last_success_at=Now())


def failed(endpoint: CallbackEndpoint) -> bool:
    """Note a failure; whether the endpoint is off, by this failure or before it."""
    begins = Q(failing_since=None) | Q(last_failure_at__lt=Now() - QUIET)
    rows = CallbackEndpoint.objects.filter(pk=endpoint.pk)
    rows.update(failing_since=Case(When(begins, then=Now()), default=F("failing_since")), last_failure_at=Now())
    if rows.filter(failing_since__lte=Now() - timedelta(days=settings.callback_disable_days)).exists():
        disable(endpoint, reason=Reason.FAILING)
    return rows.filter(disabled_at__isnull=False).exists()


@transaction.atomic
def disable(endpoint: CallbackEndpoint, *, reason: str) -> bool:
    """Blocking: send nothing more there, and let what waits be dead letters; False when it was off already.

    Its operators are told once, unless one of them did it. What is on its way may still arrive.
    """
    is_news = reason != Reason.OPERATOR
    rows = CallbackEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if not rows.update(disabled_at=Now(), disabled_reason=reason, alert_due_at=Now() if is_news else None):
        return False
    waiting = Callback.objects.filter(endpoint=endpoint, state=Callback.State.PENDING)
    waiting.filter(Q(lease_until=None) | Q(lease_until__lt=Now())).update(
        state=Callback.State.DEAD, ended_at=Now(), lease_until=None, last_error=ENDPOINT_DISABLED
    )
    transaction.on_commit(partial(_log, endpoint, reason))
    return True


def enable(endpoint: CallbackEndpoint) -> bool:
    """Blocking: send there again what comes from now on; False when it was on. Dead letters are replayed by hand."""
    rows = CallbackEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False)
    fresh = {"failing_since": None, "last_failure_at": None, "alert_due_at": None}
    return bool(rows.update(disabled_at=None, disabled_reason="", **fresh))


def _log(endpoint: CallbackEndpoint, reason: str) -> None:
    label = str(Reason(reason).label)
    logger.warning("Callback endpoint %s of tenant %s is off: %s.", endpoint.pk, endpoint.tenant.slug, label)
