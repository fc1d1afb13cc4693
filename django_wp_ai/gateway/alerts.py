"""Budget alerts on their way to people: by mail, and to the tenant's alert URL as a Standard Webhook.

``policy.budget_alerts`` writes an alert's row, once, and logs it; what is here delivers it. A worker that takes a row
moves ``next_attempt_at`` ahead, past the time that one attempt can take, so no other sends the same; what was delivered
on one way is not sent again because the other failed. A process that dies between sending and noting it sends twice.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from django.core.mail import EmailMessage
from django.utils import timezone

from django_wp_ai.models import BudgetAlert, Credential, Tenant
from django_wp_ai.security import secrets, webhook_signatures
from django_wp_ai.security.outbound import OutboundError, send

logger = logging.getLogger("django_wp_ai.gateway")

TIMEOUT_S = 10.0
AT_ONCE = 100
#: When an alert is tried again after its first, second … attempt; after the last it is given up.
WAITS = tuple(timedelta(minutes=minutes) for minutes in (2, 5, 15, 60, 240))


class Undelivered(Exception):
    """Why an alert did not arrive, in words that may be logged."""


def send_pending() -> int:
    """Blocking: deliver the alerts that are due, oldest first; how many are done with."""
    due = BudgetAlert.objects.filter(
        notified_at=None, attempts__lt=len(WAITS), next_attempt_at__lte=timezone.now()
    ).select_related("tenant")
    return sum(_deliver(alert) for alert in due.order_by("created_at")[:AT_ONCE] if _claim(alert))


def _claim(alert: BudgetAlert) -> bool:
    """Whether this worker is the one that took the alert as it was read."""
    seen = BudgetAlert.objects.filter(pk=alert.pk, notified_at=None, attempts=alert.attempts)
    alert.next_attempt_at = timezone.now() + WAITS[alert.attempts]
    alert.attempts += 1
    return bool(seen.update(attempts=alert.attempts, next_attempt_at=alert.next_attempt_at))


def _deliver(alert: BudgetAlert) -> bool:
    """One attempt on each way that is left; whether the alert is delivered on all of them."""
    tenant = alert.tenant
    if tenant.alert_emails and alert.mailed_at is None and _tried(alert, _mail):
        alert.mailed_at = timezone.now()
    if tenant.alert_url and alert.posted_at is None and _tried(alert, _post):
        alert.posted_at = timezone.now()
    missing = (tenant.alert_emails and alert.mailed_at is None) or (tenant.alert_url and alert.posted_at is None)
    alert.notified_at = None if missing else timezone.now()
    alert.save(update_fields=["mailed_at", "posted_at", "notified_at"])
    return not missing


def _tried(alert: BudgetAlert, way: Callable[[BudgetAlert], None]) -> bool:
    try:
        way(alert)
    except Undelivered as error:
        last = alert.attempts == len(WAITS)
        logger.log(
            logging.ERROR if last else logging.WARNING,
            "Budget alert %s of tenant %s did not arrive%s: %s",
            alert.pk,
            alert.tenant.slug,
            " and is given up" if last else "",
            error,
        )
        return False
    return True


def _mail(alert: BudgetAlert) -> None:
    text = _text(alert)
    try:
        EmailMessage(f"[{alert.tenant.slug}] {text}", _body(alert, text), to=alert.tenant.alert_emails).send()
    except Exception as error:
        raise Undelivered(f"the mail could not be sent ({type(error).__name__}).") from error


def _post(alert: BudgetAlert) -> None:
    body = json.dumps(_event(alert)).encode()
    headers = webhook_signatures.sign(
        body,
        _callback_secrets(alert.tenant),
        message_id=f"budget-alert-{alert.pk}",
        timestamp=int(timezone.now().timestamp()),
    )
    try:
        reply = async_to_sync(send)(
            "POST",
            alert.tenant.alert_url,
            headers={**headers, "content-type": "application/json"},
            body=body,
            allowed_hosts=alert.tenant.callback_hosts,
            max_bytes=0,
            timeout_s=TIMEOUT_S,
            excerpt=True,
        )
    except OutboundError as error:
        raise Undelivered(f"the alert URL can't be reached ({error.code}).") from error
    if not 200 <= reply.status < 300:
        raise Undelivered(f"the alert URL answered {reply.status}.")


def _callback_secrets(tenant: Tenant) -> list[str]:
    """Those of the tenant's live callback credentials, newest first: two while one is rotated."""
    credentials = Credential.objects.live().for_tenant(tenant).filter(kind=Credential.Kind.CALLBACK)
    try:
        found = [secrets.decrypt(credential.secret_encrypted) for credential in credentials.order_by("-created_at")]
    except secrets.UndecryptableSecret as error:
        raise Undelivered("the callback secret can't be decrypted.") from error
    if not found:
        raise Undelivered("the tenant has no callback credential to sign with.")
    return found


def _event(alert: BudgetAlert) -> dict[str, Any]:
    return {
        "type": "budget.alert",
        "timestamp": alert.created_at.isoformat(),
        "data": {
            "tenant": alert.tenant.slug,
            "level": alert.level,
            "subject": alert.subject,
            "period": alert.kind,
            "period_starts_at": alert.starts_at.isoformat(),
            "budget_usd": str(alert.budget_usd),
            "spent_usd": str(alert.spent_usd),
        },
    }


def _text(alert: BudgetAlert) -> str:
    name = "daily" if alert.kind == "day" else "monthly"
    if alert.level == BudgetAlert.Level.SOFT:
        return f"The soft {name} budget is used"
    return f"80 % of the {name} budget is used"


def _body(alert: BudgetAlert, text: str) -> str:
    lines = [f"{text}.", "", f"Site: {alert.tenant} ({alert.tenant.slug})"]
    if alert.subject:
        lines.append(f"Budget for: {alert.subject}")
    lines += [
        f"Budget: {alert.budget_usd:.2f} USD",
        f"Spent: {alert.spent_usd:.2f} USD",
        f"Since: {alert.starts_at:%Y-%m-%d %H:%M} UTC",
    ]
    return "\n".join(lines) + "\n"
