"""Events from outside, of vendors and sites: kept when they come, worked on later. Blocking.

Receiving verifies, writes one row and answers; its unique source and event id make a repetition none. Working on a row
means telling ``provider_event_received``: what receivers write commits together with the row's end. An event whose
receiver fails is tried again, and after ``MAX_ATTEMPTS`` it stays as failed, to be looked at.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.dispatch import Signal

from django_wp_ai.exceptions import NotFound
from django_wp_ai.models import InboundEvent, Tenant
from django_wp_ai.providers.registry import providers
from django_wp_ai.security import secrets

logger = logging.getLogger("django_wp_ai.gateway")

MAX_ATTEMPTS = 5
#: Until an event is tried again, after each attempt; also how long an attempt may take before another worker tries.
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
WORKED_ON_AT_ONCE = 100
KEPT_FOR = timedelta(days=30)
MAX_SOURCE = 64

#: Sent with ``source``, ``event_id``, ``type``, ``payload`` (a dict) and ``tenant`` (None for a vendor's event).
provider_event_received = Signal()
#: Sent after the commit of a new event; the edge that knows the task queue (``tasks``) listens.
events_waiting = Signal()


def receive_from_provider(name: str, body: bytes, headers: Mapping[str, str]) -> bool:
    """Keep what a vendor posted; False when it was known. Header names are lower-case.

    Raises NotFound for a provider without webhooks, Unauthenticated and Invalid as ``Provider.verify_webhook`` does.
    """
    provider = providers().get(name) if len(name) <= MAX_SOURCE else None
    if provider is None:
        raise NotFound
    event = provider.verify_webhook(body, headers)
    return receive(source=name, event_id=event.id, type=event.type, payload=event.payload)


def receive(
    *,
    source: str,
    event_id: str,
    type: str,  # noqa: A002 - the event's word for it
    payload: Mapping[str, Any],
    tenant: Tenant | None = None,
) -> bool:
    """Keep a verified event and tell workers of it; False when it was known."""
    row = InboundEvent(source=source, event_id=event_id, type=type, tenant=tenant)
    row.payload_sealed = secrets.seal(json.dumps(payload).encode())
    try:
        with transaction.atomic(using=router.db_for_write(InboundEvent)):
            row.save(force_insert=True)
            transaction.on_commit(partial(_wake, row.pk), using=router.db_for_write(InboundEvent), robust=True)
    except IntegrityError:
        return False
    return True


def _wake(event_pk: int) -> None:
    """Not ``send_robust``: that logs what a broker's client says, and that may be an address with a password."""
    try:
        events_waiting.send(sender=InboundEvent, event_pk=event_pk)
    except Exception as error:  # noqa: BLE001 - whatever a broker's client raises
        logger.warning("Workers could not be told of an event: %s. They find it later.", type(error).__name__)


def process_waiting() -> int:
    """Work on the events whose time has come, some at most; how many were done. Safe at the same time as itself."""
    due = InboundEvent.objects.filter(state=InboundEvent.State.RECEIVED, next_attempt_at__lte=Now())
    _give_up(due.filter(attempts__gte=MAX_ATTEMPTS))
    rows = due.filter(attempts__lt=MAX_ATTEMPTS).select_related("tenant").order_by("next_attempt_at", "pk")
    return sum(_work_on(row) for row in list(rows[:WORKED_ON_AT_ONCE]) if _claim(row))


def _give_up(rows: Any) -> None:
    """Those whose last attempt died with its process."""
    rows.update(state=InboundEvent.State.FAILED, error_message="The worker was lost.", done_at=Now())


def _claim(row: InboundEvent) -> bool:
    """Count an attempt, and be the only one that makes it: until the next one is due, by the database's clock."""
    wait = RETRY_AFTER[min(row.attempts, len(RETRY_AFTER) - 1)]
    unchanged = InboundEvent.objects.filter(
        pk=row.pk, state=InboundEvent.State.RECEIVED, attempts=row.attempts, next_attempt_at__lte=Now()
    )
    again_at = ExpressionWrapper(Now() + wait, output_field=DateTimeField())
    if not unchanged.update(attempts=F("attempts") + 1, next_attempt_at=again_at):
        return False
    row.attempts += 1
    return True


class _TakenOver(Exception):
    """The attempt took so long that another one was made."""


def _work_on(row: InboundEvent) -> bool:
    mine = InboundEvent.objects.filter(pk=row.pk, state=InboundEvent.State.RECEIVED, attempts=row.attempts)
    try:
        with transaction.atomic(using=router.db_for_write(InboundEvent)):
            _tell(row)
            if not mine.update(state=InboundEvent.State.DONE, done_at=Now(), error_message=""):
                raise _TakenOver
    except _TakenOver:
        logger.warning("Event %s of %s took so long that it was worked on again.", row.pk, row.source)
        return False
    except Exception as error:  # noqa: BLE001 - whatever host code raises
        told: dict[str, Any] = {"error_message": _failed(row, error)}
        if row.attempts >= MAX_ATTEMPTS:
            told |= {"state": InboundEvent.State.FAILED, "done_at": Now()}
        mine.update(**told)
        return False
    return True


def _tell(row: InboundEvent) -> None:
    payload = json.loads(secrets.unseal(bytes(row.payload_sealed)))
    provider_event_received.send(
        sender=InboundEvent,
        source=row.source,
        event_id=row.event_id,
        type=row.type,
        payload=payload,
        tenant=row.tenant,
    )


def _failed(row: InboundEvent, error: Exception) -> str:
    """What went wrong and where. The error's own text stays out, in the log too: it may quote the event."""
    frames = traceback.extract_tb(error.__traceback__)
    logger.error(
        "A receiver of event %s of %s failed with %s\n%s",
        row.pk,
        row.source,
        type(error).__name__,
        "".join(traceback.format_list(frames)),
    )
    return f"{type(error).__name__} in {frames[-1].name}, line {frames[-1].lineno}"[:500]


def forget_old() -> int:
    """Delete events that ended long ago, some at a time; how many."""
    deleted = 0
    old = InboundEvent.objects.filter(
        done_at__lt=ExpressionWrapper(Now() - KEPT_FOR, output_field=DateTimeField())
    ).exclude(state=InboundEvent.State.RECEIVED)
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:1000]):
        deleted += InboundEvent.objects.filter(pk__in=ids).delete()[0]
    return deleted
