"""A call's row and its counters, changed in one transaction: for sweeps, and where ``budget_statements`` can't run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import router, transaction

from django_wp_ai.models import BudgetPeriod, UsageEvent
from django_wp_ai.policy.budget_changes import Charge, Hold, Opened, Opening, Settled, Settling
from django_wp_ai.together import Failed, each


class _Undone(Exception):
    """What was changed so far must not stay."""


def open_row(row: Mapping[str, Any], holds: Sequence[Hold], amount_usd: Decimal | None) -> Opened:
    """Write a pending row if ``amount_usd`` fits every budget of ``holds``, and hold it in them."""
    try:
        with transaction.atomic(router.db_for_write(UsageEvent)):
            # Written first: on SQLite a transaction that reads first fails when it comes to write.
            UsageEvent.objects.create(
                **row, reserved_usd=amount_usd if holds else None, held_periods=[hold.pk for hold in holds]
            )
            for hold in sorted(holds, key=lambda hold: hold.pk):
                if amount_usd is None or not BudgetPeriod.hold(hold.pk, amount_usd, within_usd=hold.within_usd):
                    raise _Undone
    except _Undone:
        return _refusal(holds, amount_usd or Decimal(0))
    return Opened(True)


def _refusal(holds: Sequence[Hold], amount_usd: Decimal) -> Opened:
    ids = [hold.pk for hold in holds]
    rows = BudgetPeriod.objects.filter(pk__in=ids).order_by().values_list("pk", "spent_usd", "reserved_usd")
    found = {pk: (spent, reserved) for pk, spent, reserved in rows}
    return Opened(
        False,
        missing=tuple(pk for pk in ids if pk not in found),
        refused={
            hold.pk: found[hold.pk]
            for hold in holds
            if hold.pk in found and sum(found[hold.pk]) + amount_usd > hold.within_usd
        },
    )


def settle_row(call_id: UUID, changes: Mapping[str, Any], charges: Sequence[Charge]) -> Settled:
    """Turn a pending row into a settled one and charge its counters; nothing where it is settled, or one is missing."""
    try:
        with transaction.atomic(router.db_for_write(UsageEvent)):
            pending = UsageEvent.objects.filter(call_id=call_id, state=UsageEvent.State.PENDING)
            if not pending.update(state=UsageEvent.State.SETTLED, **changes):
                return Settled(False)
            for charge in sorted(charges, key=lambda charge: charge.pk):
                if not BudgetPeriod.charge(charge.pk, charge.spent_usd, released_usd=charge.released_usd):
                    raise _Undone
            charged = BudgetPeriod.objects.filter(pk__in=[charge.pk for charge in charges]).order_by()
            return Settled(True, spent=dict(charged.values_list("pk", "spent_usd")))
    except _Undone:
        return Settled(False, complete=False)


def open_rows(openings: Sequence[Opening]) -> list[Opened | Failed]:
    """One transaction each."""
    return each(lambda one: open_row(one.row, one.holds, one.amount_usd), openings)


def settle_rows(settlings: Sequence[Settling]) -> list[Settled | Failed]:
    """One transaction each."""
    return each(lambda one: settle_row(one.call_id, one.changes, one.charges), settlings)
