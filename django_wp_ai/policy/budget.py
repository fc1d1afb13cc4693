"""Budgets that hold: the worst case of a call is reserved before it is sent, and what it did cost is settled after.

The reservation lives on the call's usage row (``reserved_usd``, ``held_periods``), which is written and settled
together with the counters. Those are made before any of them is changed, and changed in the order of their ids, so
parallel calls neither pass a budget together nor wait for each other in a circle.

A call that several models may answer is held in the budgets of all of them, at the price of the dearest, and charged
to those of the one that did. A call that is under way while a budget for users or models is added is not counted in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_UP, Context, Decimal
from typing import Any
from uuid import UUID

from django.db import connections, router

from django_wp_ai.datatypes import UnitPrices
from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.models.budget import USD_PLACES
from django_wp_ai.models.usage import UsageQuerySet
from django_wp_ai.policy import budget_alerts, budget_batches, budget_counters, budget_rows
from django_wp_ai.policy.budget_changes import Books, Charge, Hold, Opened, Opening, Settling
from django_wp_ai.policy.budget_scope import DAY, END_USER, MODEL, Counted, counted, has_budget
from django_wp_ai.together import Steps, ask, blocking

__all__ = [
    "Reservation",
    "has_budget",
    "open_row",
    "opening_row",
    "settle_row",
    "settle_stale",
    "settle_traces",
    "settling_row",
    "worst_case",
]

USD = Decimal(1).scaleb(-USD_PLACES)
MILLION = Decimal(1_000_000)
EXACT = Context(prec=80, rounding=ROUND_UP)  # absurd amounts must be refused by a budget, not by arithmetic
TRIES = 5  # each after a counter was found gone, or had room again once the refusal was looked at
SWEPT_AT_ONCE = 500
RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may cost at most, the counters it falls under, and the ids of those that hold it, by their place."""

    amount_usd: Decimal | None = None
    counters: tuple[Counted, ...] = ()
    held: Mapping[Counted, int] = field(default_factory=dict)


def worst_case(prices: UnitPrices, input_tokens: int, max_tokens: int, n: int) -> Decimal:
    """The most a call can cost in US dollars: all input at its dearest price, ``n`` answers of ``max_tokens``."""
    if min(input_tokens, max_tokens, n) < 0:
        raise ValueError("Tokens and choices can't be negative.")
    input_price = max(prices.input, prices.cached_input or Decimal(0), prices.cache_write or Decimal(0))
    return _usd((input_price * input_tokens + prices.output * max_tokens * n) / MILLION)


def opening_row(
    row: Mapping[str, Any], *, tenant: Tenant, amount_usd: Decimal | None, models: Sequence[str] = ()
) -> Steps[Reservation]:
    """Write the pending usage row and hold ``amount_usd`` in every hard budget it falls under, or raise BudgetExceeded.

    ``row`` has the fields of ``UsageEvent`` that are known before a call; ``models`` are those that may answer, as
    ``provider:model``. None is an unknown price, which no budget can hold. A refusal leaves nothing behind; its
    ``retry_after_s`` is set where the money is not spent but held for calls that are under way.
    """
    counters = tuple(counted(tenant, at=row["created_at"], end_user=row["end_user"], models=models))
    hard = [one for one in counters if one.hard_usd is not None]
    if not hard:
        yield from ask(_database().open_rows, Opening(row, (), None))
        return Reservation(counters=counters)
    if amount_usd is None:
        raise BudgetExceeded("The price of this model is not known, so the budget can't hold the call.")
    amount = _usd(amount_usd)
    if too_small := [one for one in hard if one.hard_usd is not None and amount > one.hard_usd]:
        raise _exceeded(too_small[0], tenant)  # nothing is asked or made for a call that could never fit
    for _ in range(TRIES):
        ids = budget_counters.ids_of(hard)
        held = {one: ids[one.key] for one in hard}
        opened = yield from ask(_database().open_rows, Opening(row, _holds(held), amount))
        if opened.done:
            return Reservation(amount, counters, held)
        if opened.missing:
            budget_counters.forget(hard)
        elif opened.refused:
            break
    raise _refusal(opened, held, tenant, amount)


open_row = blocking(opening_row)


def _holds(held: Mapping[Counted, int]) -> list[Hold]:
    """In the order of ids. An amount has four decimals; None can't be, since these are the hard ones."""
    return sorted((Hold(pk, one.hard_usd or Decimal(0)) for one, pk in held.items()), key=lambda hold: hold.pk)


def settling_row(
    call_id: UUID, changes: Mapping[str, Any], reservation: Reservation, *, cost_usd: Decimal | None, model: str
) -> Steps[bool]:
    """Settle the call's row and turn its reservation into what it cost; False where it was settled already.

    ``changes`` are the fields of ``UsageEvent`` that are known after a call; ``model`` is who answered, as
    ``provider:model``. An unknown cost counts as the whole reservation.
    """
    spent = (reservation.amount_usd or Decimal(0)) if cost_usd is None else _usd(cost_usd)
    touched = [one for one in reservation.counters if one in reservation.held or (spent and one.counts(model))]
    ids = dict(reservation.held)
    for _ in range(TRIES):
        others = [one for one in touched if one not in ids]
        found = budget_counters.ids_of(others)
        ids |= {one: found[one.key] for one in others}
        charges = [_charge(one, ids[one], reservation, spent, model) for one in touched]
        charges.sort(key=lambda charge: charge.pk)
        settled = yield from ask(_database().settle_rows, Settling(call_id, changes, charges))
        if settled.done:
            budget_alerts.consider([(one, settled.spent[ids[one]]) for one in touched])
        if settled.done or settled.complete:
            return settled.done
        budget_counters.forget(touched)
        ids = {}
    return False


settle_row = blocking(settling_row)


def _charge(one: Counted, pk: int, reservation: Reservation, spent: Decimal, model: str) -> Charge:
    held = reservation.held.get(one) == pk and reservation.amount_usd is not None
    return Charge(pk, spent if one.counts(model) else Decimal(0), (reservation.amount_usd or Decimal(0)) * held)


def settle_stale(*, opened_before: datetime, at: datetime) -> int:
    """Settle rows that a dead process left pending; how many there were.

    A row is written right before its call is sent, so all of them count as sent: the vendor may have charged, and they
    keep their worst case, as spent, and as an estimate where one was reserved.
    """
    return _settle_all(UsageEvent.objects.filter(created_at__lt=opened_before), at)


def settle_traces(trace_ids: Collection[UUID], *, at: datetime) -> int:
    """As ``settle_stale``, for the calls of work that is known to be dead, such as a job whose worker is gone."""
    return _settle_all(UsageEvent.objects.filter(trace_id__in=trace_ids), at)


def _settle_all(rows: UsageQuerySet, at: datetime) -> int:
    pending = rows.filter(state=UsageEvent.State.PENDING)
    settled, last = 0, 0
    while events := list(pending.filter(pk__gt=last).select_related("tenant").order_by("pk")[:SWEPT_AT_ONCE]):
        settled += sum(_settle_stale(event, at) for event in events)
        last = events[-1].pk
    return settled


def _settle_stale(event: UsageEvent, at: datetime) -> bool:
    """What it held is charged where it was held, also for models that may not have answered."""
    spent = event.reserved_usd or Decimal(0)
    model = f"{event.provider}:{event.model}"
    counters = counted(event.tenant, at=event.created_at, end_user=event.end_user, models=[model]) if spent else []
    changes = {"settled_at": at, "cost_usd": event.reserved_usd, "estimated": True, "error_code": "abandoned"}
    for _ in range(TRIES):
        held = set(BudgetPeriod.objects.filter(pk__in=event.held_periods).order_by().values_list("pk", flat=True))
        ids = held | set(budget_counters.ids_of(counters).values())
        charges = [Charge(pk, spent, spent if pk in held else Decimal(0)) for pk in sorted(ids)]
        settled = budget_rows.settle_row(event.call_id, changes, charges)
        if settled.complete:
            return settled.done
        budget_counters.forget(counters)
    return False


def _refusal(opened: Opened, held: Mapping[Counted, int], tenant: Tenant, amount: Decimal) -> BudgetExceeded:
    """Says the first budget that refused, and whether calls under way may yet leave it enough."""
    spent = {one: opened.refused[pk][0] for one, pk in held.items() if pk in opened.refused}
    budget_alerts.consider(spent.items())
    refused = _exceeded(next(iter(spent or held)), tenant)
    if all(one.hard_usd is not None and usd + amount <= one.hard_usd for one, usd in spent.items()):
        refused.retry_after_s = RETRY_AFTER_S
    return refused


def _exceeded(one: Counted, tenant: Tenant) -> BudgetExceeded:
    """Names the budget; of one above the tenant no amount, for that is somebody else's."""
    name = "daily" if one.kind == DAY else "monthly"
    of = {END_USER: " for this end user", MODEL: " for this model"}.get(one.applies_to, "")
    where = " above this site" if one.tenant.pk != tenant.pk else f" of {one.hard_usd} USD"
    return BudgetExceeded(f"The {name} budget{where}{of} does not cover the call.")


def _database() -> Books:
    """PostgreSQL has statements of its own."""
    vendor = connections[router.db_for_write(UsageEvent)].vendor
    return budget_batches if vendor == "postgresql" else budget_rows


def _usd(amount: Decimal) -> Decimal:
    """An amount to the billionth, rounded up: a reservation must never be the smaller."""
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{amount} is not an amount of money.")
    return amount.quantize(USD, context=EXACT)
