"""The rows that budgets are counted in: found by their key, made where they are missing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from django.db import connections, router
from django.db.models import DecimalField, QuerySet, Sum
from django.db.models.functions import Coalesce

from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.models.budget import USD_PLACES
from django_wp_ai.policy.budget_scope import END_USER, MODEL, Counted, Key, matches

MAX_KNOWN = 20_000

_known: dict[Key, int] = {}


def ids_of(wanted: Sequence[Counted]) -> dict[Key, int]:
    """Ids of the counters; one that is missing is made, with what the ledger has for its time and part.

    A counter's id never changes, so a process on PostgreSQL asks for it once. (SQLite gives an id that was rolled back
    to the next row.) Should the row be gone, ``statements`` find out, and ``forget`` is called.
    """
    remember = connections[router.db_for_write(BudgetPeriod)].vendor == "postgresql"
    keys = {one.key: one for one in wanted}
    ids = {key: _known[key] for key in keys if key in _known} if remember else {}
    if len(ids) < len(keys):
        unknown = [one for key, one in keys.items() if key not in ids]
        found = _find_or_make(unknown)
        if remember:
            if len(_known) > MAX_KNOWN:
                _known.clear()
            _known.update(found)
        ids |= found
    return ids


def forget(gone: Iterable[Counted]) -> None:
    """Look for these counters anew the next time."""
    for one in gone:
        _known.pop(one.key, None)


def _find_or_make(wanted: Sequence[Counted]) -> dict[Key, int]:
    by_key = {one.key: one for one in wanted}
    ids = _find(by_key)
    missing = sorted(key for key in by_key if key not in ids)  # in one order, so that no two processes wait in a circle
    if missing:
        BudgetPeriod.objects.bulk_create(
            [
                BudgetPeriod(
                    tenant_id=tenant_id,
                    subject=subject,
                    kind=kind,
                    starts_at=starts_at,
                    spent_usd=_ledger_spend(by_key[tenant_id, subject, kind, starts_at]),
                )
                for tenant_id, subject, kind, starts_at in missing
            ],
            ignore_conflicts=True,
        )
        ids = _find(by_key)
    return ids


def _find(keys: Iterable[Key]) -> dict[Key, int]:
    wanted = set(keys)
    near = BudgetPeriod.objects.filter(
        tenant_id__in={key[0] for key in wanted},
        subject__in={key[1] for key in wanted},
        starts_at__in={key[3] for key in wanted},
    )
    rows = near.order_by().values_list("tenant_id", "subject", "kind", "starts_at", "pk")
    found = {(tenant_id, subject, kind, starts_at): pk for tenant_id, subject, kind, starts_at, pk in rows}
    return {key: pk for key, pk in found.items() if key in wanted}


def _ledger_spend(one: Counted) -> Decimal:
    """What the ledger has where a counter begins late: after a change of budget, time zone or parent."""
    rows = UsageEvent.objects.filter(
        tenant_id__in=_with_all_below(one.tenant),
        state=UsageEvent.State.SETTLED,
        created_at__gte=one.starts_at,
        created_at__lt=one.ends_at,
    )
    if one.applies_to == END_USER:
        rows = rows.filter(end_user=one.name)
    if one.applies_to == MODEL:
        return _spend_of_models(rows, one.name)
    total: Decimal | None = rows.aggregate(total=Sum(_cost()))["total"]
    return total or Decimal(0)


def _spend_of_models(rows: QuerySet[UsageEvent], pattern: str) -> Decimal:
    sums = rows.order_by().values_list("provider", "model").annotate(total=Sum(_cost()))
    fitting = (total for provider, model, total in sums if matches(pattern, f"{provider}:{model}"))
    return sum((total for total in fitting if total is not None), Decimal(0))


def _cost() -> Coalesce:
    """An unknown cost counts as what was reserved for it."""
    return Coalesce("cost_usd", "reserved_usd", output_field=DecimalField(max_digits=20, decimal_places=USD_PLACES))


def _with_all_below(tenant: Tenant) -> set[int]:
    found = level = {tenant.pk}
    while level:
        below = Tenant.objects.filter(parent_id__in=level).order_by().values_list("pk", flat=True)
        level = set(below) - found
        found = found | level
    return found
