"""``wp_ai_callbacks``: look at callbacks, and send some of them again."""

from __future__ import annotations

import argparse
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from django_wp_ai.callbacks import reading
from django_wp_ai.callbacks.endpoints import enable
from django_wp_ai.callbacks.replay import Replayed, replay_all
from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.exceptions import Conflict, Invalid, NotFound
from django_wp_ai.management import arguments
from django_wp_ai.management.commands.wp_ai_tenant import find_tenant
from django_wp_ai.management.reporting import ReportingCommand
from django_wp_ai.models import Callback, CallbackEndpoint

DEFAULT_LIMIT = 50
COLUMNS = ("id", "tenant", "type", "state", "attempts", "last_status", "last_error", "created_at", "next_attempt_at")
ENDED = [state for state in Callback.State.values if state != Callback.State.PENDING]


class Command(ReportingCommand):
    """Verbs list, replay."""

    help = "Look at callbacks, and send some of them again."

    def add_verbs(self) -> None:
        """Declare the verbs of PROTOCOL §6."""
        listing = self.add_verb("list", "List callbacks, the newest first.", self.list_some)
        _add_selection(listing, states=Callback.State.values)
        listing.add_argument("--limit", metavar="N", type=arguments.whole, default=DEFAULT_LIMIT)
        again = self.add_verb("replay", "Send callbacks again, with the same id and body.", self.replay)
        again.add_argument("ids", metavar="ID", nargs="*", type=arguments.callback_id, help="As the receiver saw it.")
        _add_selection(again, states=ENDED)
        again.add_argument("--enable", action="store_true", help="Switch their endpoints on first.")

    def list_some(self, *, limit: int, **options: Any) -> None:
        """The newest that match."""
        found = reading.newest(_selection(**options), limit=limit)
        rows = [reading.describe(callback) for callback in found]
        self.report_table(rows, columns=COLUMNS, empty="There are no such callbacks.")

    def replay(self, *, ids: list[UUID], enable: bool, **options: Any) -> None:
        """Those that are named, or dead letters that match; never simply all."""
        names = ("tenant", "job", "state", "since", "until")
        if not ids and not any(options[name] for name in names):
            raise Invalid("Name callbacks, or choose some by --tenant, --job, --state, --since or --until.")
        if not ids and not options["state"] and not options["job"]:
            options["state"] = [Callback.State.DEAD]
        selection = _selection(ids=ids, **options)
        if enable:
            _enable(selection)
        found = replay_all(selection)
        if found == Replayed():
            raise NotFound("There are no such callbacks.")
        if not found:
            raise Conflict(f"None was replayed: {_left_out(found)}.")
        self.report(
            {name: getattr(found, name) for name in found.__slots__},
            note="" if found == Replayed(replayed=found.replayed) else f"Not replayed: {_left_out(found)}.",
        )


def _add_selection(parser: argparse.ArgumentParser, *, states: list[str]) -> None:
    parser.add_argument("--tenant", metavar="SLUG", help="One tenant; without it, all.")
    parser.add_argument("--job", metavar="ID", type=arguments.uuid_of, help="Of one job.")
    parser.add_argument("--state", action="append", choices=states, help="May be repeated.")
    parser.add_argument("--since", metavar="24h", type=arguments.duration, help="Made at most so long ago.")
    parser.add_argument("--until", metavar="1h", type=arguments.duration, help="Made at least so long ago.")


def _selection(
    *,
    tenant: str | None,
    job: UUID | None,
    state: list[str] | None,
    since: timedelta | None,
    until: timedelta | None,
    ids: list[UUID] | None = None,
    **_options: Any,
) -> Selection:
    now = timezone.now()
    return Selection(
        tenant=find_tenant(tenant) if tenant else None,
        ids=ids or (),
        job_id=job,
        states=state or (),
        since=None if since is None else now - since,
        until=None if until is None else now - until,
    )


def _enable(selection: Selection) -> None:
    off = selection.rows().filter(endpoint__disabled_at__isnull=False)
    for endpoint in CallbackEndpoint.objects.filter(pk__in=off.values("endpoint")):
        enable(endpoint)


def _left_out(found: Replayed) -> str:
    counts = {
        "of an endpoint that is off": found.endpoint_off,
        "without a body, which is no longer kept": found.without_body,
        "waiting to be sent already": found.pending,
    }
    return "; ".join(f"{number} {words}" for words, number in counts.items() if number)
