"""Send again what was delivered or given up: under the same id, with the same body, from the first attempt on."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.db.models import F
from django.db.models.functions import Now

from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.callbacks.waking import tell_workers
from django_wp_ai.exceptions import Conflict, NotFound
from django_wp_ai.models import Callback, Tenant
from django_wp_ai.models.callback import CallbackQuerySet

AT_ONCE = 1000
State = Callback.State


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """How many are sent again, and how many are not: their endpoint is off, their body is gone, they wait already."""

    replayed: int = 0
    endpoint_off: int = 0
    without_body: int = 0
    pending: int = 0

    def __bool__(self) -> bool:
        return self.replayed > 0


def replay(tenant: Tenant | None, *, callback_id: uuid.UUID | None = None, job_id: uuid.UUID | None = None) -> Replayed:
    """Blocking: replay one callback, or those of one job; without a tenant, of any.

    Raises NotFound where there is none, and Conflict that says why not a single one could be replayed.
    """
    if callback_id is None and job_id is None:
        raise ValueError("Name a callback or a job.")
    ids = () if callback_id is None else (callback_id,)
    found = replay_all(Selection(tenant=tenant, ids=ids, job_id=job_id))
    if found == Replayed():
        raise NotFound
    if not found:
        raise Conflict(_why_not(found))
    return found


def replay_all(selection: Selection) -> Replayed:
    """Blocking: replay what can be replayed, so many a transaction."""
    rows = selection.rows()
    ended = rows.exclude(state=State.PENDING)
    on = ended.filter(endpoint__disabled_at=None)
    found = Replayed(
        endpoint_off=ended.filter(endpoint__disabled_at__isnull=False).count(),
        without_body=on.filter(body_sealed=b"").count(),
        pending=rows.filter(state=State.PENDING).count(),
        replayed=_begin_again(on.exclude(body_sealed=b"")),
    )
    if found:
        tell_workers()
    return found


def _begin_again(rows: CallbackQuerySet) -> int:
    # Noted before anything changes: a row that was replayed could end again, and be found once more.
    ids, total = list(rows.order_by("created_at", "pk").values_list("pk", flat=True)), 0
    for start in range(0, len(ids), AT_ONCE):
        some = Callback.objects.filter(pk__in=ids[start : start + AT_ONCE]).exclude(state=State.PENDING)
        total += some.filter(endpoint__disabled_at=None).update(
            state=State.PENDING,
            attempts=0,
            replays=F("replays") + 1,
            next_attempt_at=Now(),
            ended_at=None,
            last_status=None,
            last_error="",
        )
    return total


def _why_not(found: Replayed) -> str:
    if found.endpoint_off:
        return "The endpoint is switched off; switch it on first."
    if found.without_body:
        return "The body is no longer kept."
    return "It waits to be sent already."
