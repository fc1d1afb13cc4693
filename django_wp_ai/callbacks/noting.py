"""What became of an attempt, written in one transaction: the callback, its log, its endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from django_wp_ai.callbacks import endpoints
from django_wp_ai.callbacks.claims import Claim
from django_wp_ai.callbacks.endpoints import ENDPOINT_DISABLED
from django_wp_ai.callbacks.schedule import wait_after
from django_wp_ai.models import Callback, CallbackAttempt, CallbackEndpoint

GONE = 410
#: Failures of ours, for which nothing was sent: the endpoint is not to blame.
OURS = frozenset({"no_secret", "secret_unreadable", "body_unreadable", "internal"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an attempt ended; ``error`` is empty for a success."""

    error: str = ""
    status: int | None = None
    latency_ms: int | None = None
    excerpt: str = field(default="", repr=False)
    retry_after_s: float | None = None


@transaction.atomic
def note(claim: Claim, outcome: Outcome) -> bool:
    """Blocking: write the outcome; False, and nothing written, when the claim was lost meanwhile."""
    callback = claim.callback
    # The callback's row is locked before its endpoint's, whatever the outcome.
    if not Callback.objects.held(callback.pk, claim.fence).update(**_changes(callback.attempts + 1, outcome)):
        return False
    CallbackAttempt.objects.create(
        callback=callback,
        number=callback.attempts + 1,
        status=outcome.status,
        error=outcome.error,
        latency_ms=outcome.latency_ms,
        excerpt=outcome.excerpt,
        created_at=Now(),
    )
    if not outcome.error:
        endpoints.succeeded(callback.endpoint)
    elif _is_off(callback.endpoint, outcome):
        bury(claim)
    return True


def _changes(attempts: int, outcome: Outcome) -> dict[str, Any]:
    """What the attempt makes of the row: delivered, tried again, or a dead letter."""
    changes: dict[str, Any] = {"attempts": attempts, "lease_until": None}
    changes |= {"last_status": outcome.status, "last_error": outcome.error}
    wait_s = wait_after(attempts, retry_after_s=outcome.retry_after_s)
    if not outcome.error:
        return {**changes, "state": Callback.State.DELIVERED, "ended_at": Now()}
    if wait_s is None or outcome.status == GONE:
        return {**changes, "state": Callback.State.DEAD, "ended_at": Now()}
    return {**changes, "next_attempt_at": Now() + timedelta(seconds=wait_s)}


def bury(claim: Claim) -> bool:
    """Blocking: end a callback whose endpoint is off."""
    return bool(
        Callback.objects.held(claim.callback.pk, claim.fence).update(
            state=Callback.State.DEAD, ended_at=Now(), lease_until=None, last_error=ENDPOINT_DISABLED
        )
    )


def _is_off(endpoint: CallbackEndpoint, outcome: Outcome) -> bool:
    """Note the failure at the endpoint; whether it is off now."""
    if outcome.error in OURS:
        return CallbackEndpoint.objects.filter(pk=endpoint.pk, disabled_at__isnull=False).exists()
    if outcome.status == GONE:
        endpoints.disable(endpoint, reason=CallbackEndpoint.Reason.GONE)
    return endpoints.failed(endpoint)
