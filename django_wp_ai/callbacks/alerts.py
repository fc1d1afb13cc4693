"""Telling a tenant's operators, once, that one of its endpoints was switched off.

The endpoint says when a mail is due. Who sends it moves that ahead first, so no other worker sends the same; a process
that dies between sending and noting it sends twice.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.core.mail import EmailMessage
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.callbacks.reading import shown
from django_wp_ai.models import CallbackEndpoint

logger = logging.getLogger("django_wp_ai.callbacks")

AT_ONCE = 100
FIRST_WAIT = timedelta(minutes=2)
GIVEN_UP_AFTER = timedelta(days=1)


def send_pending() -> int:
    """Blocking: send the mails that are due; how many were."""
    due = CallbackEndpoint.objects.filter(alert_due_at__lte=Now()).select_related("tenant").order_by("alert_due_at")
    return sum(_send(endpoint) for endpoint in due[:AT_ONCE] if _claim(endpoint))


def _claim(endpoint: CallbackEndpoint) -> bool:
    """Whether this worker is the one that took it; the next try comes after as long again as it has been off."""
    been_off = timezone.now() - (endpoint.disabled_at or timezone.now())
    still_due = CallbackEndpoint.objects.filter(pk=endpoint.pk, alert_due_at__lte=Now())
    return bool(still_due.update(alert_due_at=Now() + max(FIRST_WAIT, been_off)))


def _send(endpoint: CallbackEndpoint) -> bool:
    is_sent = bool(endpoint.tenant.alert_emails) and _mailed(endpoint)
    is_late = timezone.now() - (endpoint.disabled_at or timezone.now()) > GIVEN_UP_AFTER
    if is_sent or is_late or not endpoint.tenant.alert_emails:
        CallbackEndpoint.objects.filter(pk=endpoint.pk).update(alert_due_at=None)
    return is_sent


def _mailed(endpoint: CallbackEndpoint) -> bool:
    tenant, reason = endpoint.tenant, endpoint.get_disabled_reason_display()
    subject = f"[{tenant.slug}] A callback endpoint is switched off"
    lines = [
        f"Callbacks are no longer sent to an endpoint: {reason}.",
        "",
        f"Site: {tenant} ({tenant.slug})",
        f"Endpoint: {shown(endpoint.url)}",
        f"Since: {endpoint.disabled_at:%Y-%m-%d %H:%M} UTC",
        "",
        "What waited for it is kept. Once the site takes callbacks again, switch the endpoint on and replay them.",
    ]
    try:
        EmailMessage(subject, "\n".join(lines) + "\n", to=tenant.alert_emails).send()
    except Exception as error:  # noqa: BLE001 - a mail backend raises what it likes
        logger.warning("The alert on endpoint %s could not be mailed (%s).", endpoint.pk, type(error).__name__)
        return False
    return True
