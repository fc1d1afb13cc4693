"""Budgets that hold: the worst case of a call is reserved before it is sent, and what it did cost is settled after.

The reservation lives on the call's usage row (``reserved_usd``, ``held_periods``), so one transaction opens both and
one settles both. Counters are changed by conditional updates in the order of their ids, and made before any is
changed, so parallel calls neither pass a budget together nor wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Context, Decimal

from django.db import connection, transaction
from django.db.models import DecimalField, Sum
from django.db.models.functions import Coalesce
from django.db.transaction import TransactionManagementError

from django_wp_ai.datatypes import UnitPrices
from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.models.budget import USD_PLACES

USD = Decimal(1).scaleb(-USD_PLACES)
MILLION = Decimal(1_000_000)
EXACT = Context(prec=80, rounding=ROUND_UP)  # absurd amounts must be refused by a budget, not by arithmetic

Key = tuple[int, str, datetime]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a call may cost at most and the counters that hold it: for ``UsageEvent.reserved_usd``, ``held_periods``.

    ``counter_ids`` are those of all its periods, also of those without a budget: settling need not look for them again.
    """

    amount_usd: Decimal | None = None
    period_ids: tuple[int, ...] = ()
    counter_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """A day or month of a tenant, and its budget if it has one."""

    tenant: Tenant
    kind: BudgetPeriod.Kind
    starts_at: datetime
    budget_usd: Decimal | None

    @property
    def key(self) -> Key:
        """What its counter is found by."""
        return (self.tenant.pk, self.kind.value, self.starts_at)

    @property
    def ends_at(self) -> datetime:
        """Where the next one starts; a local day has 23 to 25 hours, a month 28 to 31 days."""
        if self.kind == BudgetPeriod.Kind.DAY:
            return self.tenant.start_of_day(self.starts_at + timedelta(hours=36)).astimezone(UTC)
        return self.tenant.start_of_month(self.starts_at + timedelta(days=32)).astimezone(UTC)


def worst_case(prices: UnitPrices, input_tokens: int, max_tokens: int, n: int) -> Decimal:
    """The most a call can cost in US dollars: all input at its dearest price, ``n`` answers of ``max_tokens``."""
    if min(input_tokens, max_tokens, n) < 0:
        raise ValueError("Tokens and choices can't be negative.")
    input_price = max(prices.input, prices.cached_input or Decimal(0), prices.cache_write or Decimal(0))
    return _usd((input_price * input_tokens + prices.output * max_tokens * n) / MILLION)


def periods(tenant: Tenant, *, at: datetime) -> Iterator[Period]:
    """Day and month of ``at`` for the tenant and each tenant above it, each in its own time zone."""
    above: Tenant | None = tenant
    seen: set[int] = set()
    while above is not None and above.pk not in seen:
        seen.add(above.pk)
        day, month = above.start_of_day(at).astimezone(UTC), above.start_of_month(at).astimezone(UTC)
        yield Period(above, BudgetPeriod.Kind.DAY, day, above.budget_day_usd)
        yield Period(above, BudgetPeriod.Kind.MONTH, month, above.budget_month_usd)
        above = above.parent


def has_budget(tenant: Tenant) -> bool:
    """Whether the tenant or one above it has a budget; asks the database only where there is one above."""
    return any(period.budget_usd is not None for period in periods(tenant, at=datetime.now(UTC)))


def reserve_in_transaction(tenant: Tenant, amount_usd: Decimal | None, *, at: datetime) -> Reservation:
    """Hold ``amount_usd`` in every budget of the tenant and those above it, or raise BudgetExceeded and hold nothing.

    To be called in the transaction that opens the usage row, before it is saved; ``at`` is the row's ``created_at``.
    None is an unknown price, which no budget can hold. Without a budget nothing is reserved or asked of the database.
    """
    _require_transaction()
    current = list(periods(tenant, at=at))
    if not any(period.budget_usd is not None for period in current):
        return Reservation()
    if amount_usd is None:
        raise BudgetExceeded("The price of this model is not known, so the budget can't hold the call.")
    amount = _usd(amount_usd)
    if not connection.features.has_select_for_update:
        # SQLite: a transaction that writes first waits for its turn, one that reads first fails when it comes to write.
        BudgetPeriod.objects.filter(pk=0).update(reserved_usd=0)
    ids = _counters(current)
    held = []
    for period in sorted(current, key=lambda period: ids[period.key]):
        if period.budget_usd is None:
            continue
        pk = ids[period.key]
        if not BudgetPeriod.hold(pk, amount, within_usd=period.budget_usd):
            transaction.set_rollback(True)  # also what was held above, should the error be caught too early
            raise _exceeded(period, tenant)
        held.append(pk)
    return Reservation(amount, tuple(held), tuple(ids.values()))


def settle_in_transaction(event: UsageEvent, cost_usd: Decimal | None, *, counter_ids: Iterable[int] = ()) -> None:
    """Turn the row's reservation into what the call cost; an unknown cost counts as the whole reservation.

    To be called in the transaction that turned the row from pending to settled, and only by who did. ``counter_ids``
    are the reservation's; without them the counters are looked up.
    """
    _require_transaction()
    reserved = event.reserved_usd or Decimal(0)
    spent = reserved if cost_usd is None else _usd(cost_usd)
    held = set(event.held_periods)
    if not spent and not held:
        return
    current = set(counter_ids) or _counters(list(periods(event.tenant, at=event.created_at)), besides=event).values()
    for pk in sorted(held.union(current)):
        BudgetPeriod.charge(pk, spent, released_usd=reserved if pk in held else Decimal(0))


def settle_stale(*, opened_before: datetime, at: datetime) -> int:
    """Settle rows that a dead process left pending; how many there were.

    The vendor may have charged, so they keep their worst case: as spent, and as an estimate where one was reserved.
    """
    stale = UsageEvent.objects.filter(state=UsageEvent.State.PENDING, created_at__lt=opened_before)
    settled = 0
    for event in stale.select_related("tenant").order_by("pk").iterator():
        with transaction.atomic():
            mine = stale.filter(pk=event.pk).update(
                state=UsageEvent.State.SETTLED,
                settled_at=at,
                cost_usd=event.reserved_usd,
                estimated=True,
                error_code="abandoned",
            )
            if mine:
                settle_in_transaction(event, event.reserved_usd)
                settled += 1
    return settled


def _counters(wanted: Iterable[Period], *, besides: UsageEvent | None = None) -> dict[Key, int]:
    """Ids of the periods' counters; missing ones are made, with what the ledger has of that time but ``besides``."""
    by_key = {period.key: period for period in wanted}
    ids = _find(by_key)
    missing = sorted(key for key in by_key if key not in ids)
    if missing:
        BudgetPeriod.objects.bulk_create(
            [
                BudgetPeriod(
                    tenant_id=key[0], kind=key[1], starts_at=key[2], spent_usd=_ledger_spend(by_key[key], besides)
                )
                for key in missing
            ],
            ignore_conflicts=True,
        )
        ids = _find(by_key)
    return ids


def _find(keys: Iterable[Key]) -> dict[Key, int]:
    wanted = set(keys)
    near = BudgetPeriod.objects.filter(
        tenant_id__in={tenant_id for tenant_id, _, _ in wanted}, starts_at__in={starts_at for _, _, starts_at in wanted}
    )
    rows = near.order_by().values_list("tenant_id", "kind", "starts_at", "pk")
    found = {(tenant_id, kind, starts_at): pk for tenant_id, kind, starts_at, pk in rows}
    return {key: pk for key, pk in found.items() if key in wanted}


def _ledger_spend(period: Period, besides: UsageEvent | None) -> Decimal:
    """What the ledger has for a period whose counter begins late: after a change of time zone or parent."""
    found = level = {period.tenant.pk}
    while level:
        below = Tenant.objects.filter(parent_id__in=level).order_by().values_list("pk", flat=True)
        level = set(below) - found
        found = found | level
    rows = UsageEvent.objects.filter(
        tenant_id__in=found,
        state=UsageEvent.State.SETTLED,
        created_at__gte=period.starts_at,
        created_at__lt=period.ends_at,
    )
    if besides is not None:
        rows = rows.exclude(pk=besides.pk)
    cost = Coalesce("cost_usd", "reserved_usd", output_field=DecimalField(max_digits=20, decimal_places=USD_PLACES))
    total: Decimal | None = rows.aggregate(total=Sum(cost))["total"]
    return total or Decimal(0)


def _exceeded(period: Period, tenant: Tenant) -> BudgetExceeded:
    name = "daily" if period.kind == BudgetPeriod.Kind.DAY else "monthly"
    if period.tenant.pk != tenant.pk:
        return BudgetExceeded(f"The {name} budget above this site does not cover the call.")
    return BudgetExceeded(f"The {name} budget of {period.budget_usd} USD does not cover the call.")


def _usd(amount: Decimal) -> Decimal:
    """An amount to the billionth, rounded up: a reservation must never be the smaller."""
    if not amount.is_finite() or amount < 0:
        raise ValueError(f"{amount} is not an amount of money.")
    return amount.quantize(USD, context=EXACT)


def _require_transaction() -> None:
    if not connection.in_atomic_block:
        raise TransactionManagementError("A reservation and its usage row are changed in one transaction.")
