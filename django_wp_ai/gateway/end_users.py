"""What is kept of one end user: given out, and taken away. Usage keeps its figures without the name."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden, Invalid
from django_wp_ai.gateway import conversations
from django_wp_ai.jobs import payload
from django_wp_ai.models import BudgetAlert, BudgetPeriod, Callback, IdempotentReply, Job, Tenant, UsageEvent
from django_wp_ai.policy.budget_scope import DAY, END_USER, Counted
from django_wp_ai.security.secrets import UndecryptableSecret

logger = logging.getLogger("django_wp_ai.gateway")

MAX_ID = 128
#: How much one page holds, and what of it an item of each kind counts for: a conversation is many turns.
PAGE = 1000
WEIGHTS = {"usage": 1, "jobs": 20, "conversations": 20}
_USAGE = (
    "call_id",
    "created_at",
    "state",
    "route",
    "provider",
    "model",
    "plugin",
    "request_id",
    "input_tokens",
    "output_tokens",
    "cost_usd",
    "cached",
    "estimated",
    "streamed",
    "finish_reason",
    "error_code",
    "latency_ms",
)
_JOB = ("id", "kind", "status", "error_code", "attempts", "metadata", "created_at", "started_at", "finished_at")

Item = tuple[str, dict[str, Any]]  # where to go on after it, and what is told of it


def require_own(principal: Principal, end_user: str) -> None:
    """Raise Invalid for what can't be an id, Forbidden where the proof names another end user.

    Such a proof may be in the hands of a visitor, who has no right to anybody else's data.
    """
    if not end_user or len(end_user) > MAX_ID or "\x00" in end_user or not _is_text(end_user):
        message = f"An end user's id is 1 to {MAX_ID} characters."
        raise Invalid(message, errors=[{"field": "id", "message": message}], param="id")
    if principal.end_user and principal.end_user != end_user:
        raise Forbidden("The proof of this call names another end user.")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def export(tenant: Tenant, end_user: str, *, cursor: str = "") -> dict[str, Any]:
    """Blocking: one page of what is kept, oldest first; ``next_cursor`` gets the next one, None ends it."""
    readers = {"usage": _usage, "jobs": _jobs, "conversations": _conversations}
    section, after = _position(cursor)
    page: dict[str, Any] = {"end_user": end_user, **{name: [] for name in readers}, "next_cursor": None}
    room = PAGE
    for name in list(readers)[list(readers).index(section) :]:
        at_most = max(1, room // WEIGHTS[name])
        found = list(readers[name](tenant, end_user, after, at_most + 1))
        page[name] = [row for _, row in found[:at_most]]
        if len(found) > at_most:
            page["next_cursor"] = f"{name}:{found[at_most - 1][0]}"
            break
        room -= len(found) * WEIGHTS[name]
        after = ""
    return page


def _position(cursor: str) -> tuple[str, str]:
    """The part and the place in it that a cursor names."""
    section, _, after = cursor.partition(":")
    if not cursor:
        return "usage", ""
    try:
        if section in ("usage", "conversations") and len(after) < 19 and int(after) >= 0:
            return section, str(int(after))
        if section == "jobs":
            return section, str(UUID(after))
    except ValueError:
        pass
    message = "Give the next_cursor of the page before."
    raise Invalid(message, errors=[{"field": "cursor", "message": message}], param="cursor")


def _usage(tenant: Tenant, end_user: str, after: str, at_most: int) -> Iterator[Item]:
    rows = UsageEvent.objects.for_tenant(tenant).filter(end_user=end_user, pk__gt=int(after or 0)).order_by("pk")
    for row in rows.values("pk", *_USAGE)[:at_most]:
        yield str(row.pop("pk")), row


def _jobs(tenant: Tenant, end_user: str, after: str, at_most: int) -> Iterator[Item]:
    rows = Job.objects.for_tenant(tenant).filter(end_user=end_user).order_by("pk")
    if after:
        rows = rows.filter(pk__gt=UUID(after))
    for row in rows.values(*_JOB, "input_sealed", "result_sealed")[:at_most]:
        row["input"], row["result"] = _opened(row.pop("input_sealed")), _opened(row.pop("result_sealed"))
        yield str(row["id"]), row


def _opened(sealed: bytes | memoryview | None) -> Any:
    """None also for what no key opens any more: it is not there to be given out."""
    try:
        return payload.unseal(sealed) if sealed else None
    except UndecryptableSecret as error:
        logger.warning("A job's text can't be given out. %s", error)
        return None


def _conversations(tenant: Tenant, end_user: str, after: str, at_most: int) -> Iterator[Item]:
    start = int(after or 0)
    found = conversations.export_end_user(tenant, end_user, start=start, at_most=at_most)
    return ((str(position), row) for position, row in enumerate(found, start=start + 1))


@transaction.atomic
def erase(tenant: Tenant, end_user: str) -> dict[str, int]:
    """Blocking: delete what is the end user's and take the name off the ledger, all or nothing; how many of each.

    A call that runs meanwhile may leave a row behind it; erasing again takes that too.
    """
    subject = Counted(tenant, DAY, timezone.now(), END_USER, end_user).subject
    mine = {"end_user": end_user}
    return {
        "conversations": conversations.erase_end_user(tenant, end_user),
        **_erase_jobs(tenant, end_user),
        "replies": _deleted(IdempotentReply.objects.for_tenant(tenant).filter(**mine)),
        "budget_counters": _deleted(BudgetPeriod.objects.for_tenant(tenant).filter(subject=subject)),
        "budget_alerts": _deleted(BudgetAlert.objects.for_tenant(tenant).filter(subject=subject)),
        "usage": UsageEvent.objects.for_tenant(tenant).filter(**mine).update(end_user=""),
    }


def _erase_jobs(tenant: Tenant, end_user: str) -> dict[str, int]:
    """Jobs that run lose their rows, and with them their workers' right to pay for more or to write anything.

    Locked as an ending locks them, a child before its parent, so that neither waits for the other; callbacks go after
    them, since none can be added then.
    """
    rows = Job.objects.for_tenant(tenant).filter(end_user=end_user)
    for some in (rows.exclude(parent=None), rows.filter(parent=None)):
        list(some.select_for_update().order_by("pk").values_list("pk", flat=True))
    callbacks = Callback.objects.for_tenant(tenant)
    return {"jobs": _deleted(rows), "callbacks": _deleted(callbacks.filter(end_user=end_user))}


def _deleted(rows: QuerySet[Any]) -> int:
    """How many of these rows; what belongs to them goes with them."""
    return rows.delete()[1].get(rows.model._meta.label, 0)
