"""What is left of a site's limits and budgets: looked at, nothing is taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.models import Budget, BudgetPeriod, Tenant
from django_wp_ai.policy import budget_counters, limits, rates, slots
from django_wp_ai.policy.budget_scope import DAY, END_USER, MONTH, Counted, chain
from django_wp_ai.policy.limits import Limit

MAX_PARTS = 100  # users or models told of a budget that each of them has for itself
ROUTE = "route-"


@dataclass(frozen=True, slots=True)
class LimitLeft:
    """One rate limit; ``remaining`` and ``reset_s`` are None where it can't be counted at the moment."""

    name: str
    quota: int
    unit: str
    route: str = ""
    window_s: int | None = None
    remaining: int | None = None
    reset_s: float | None = None


@dataclass(frozen=True, slots=True)
class BudgetLeft:
    """One budget of a day or month.

    ``applies_to`` is empty for all calls; an empty ``name`` beside it stands for each user or model that has not used
    anything yet. Of a budget above this site only what remains is told: the rest is what others spend.
    """

    above: bool
    applies_to: str
    name: str
    period: str
    starts_at: datetime
    ends_at: datetime
    is_hard: bool
    remaining_usd: Decimal
    budget_usd: Decimal | None = None
    spent_usd: Decimal | None = None
    reserved_usd: Decimal | None = None


def limits_left(principal: Principal) -> list[LimitLeft]:
    """Blocking: the site's own limits, those of its routes, and those of the end user that the proof names."""
    tenant = principal.tenant
    found = [("", limit) for limit in limits.call_limits(principal, route="", tokens=0) if limit.name != "ip-rpm"]
    jobs = limits.job_limits(tenant, end_user=principal.end_user)
    found += [("", limit) for limit in jobs if not limit.name.startswith(ROUTE)]
    for route in sorted(tenant.routes):
        every = limits.call_limits(principal, route=route, tokens=0)
        found += [(route, limit) for limit in every if limit.name.startswith(ROUTE)]
    seen = rates.peek(limits.tenant_key(tenant), [limit for _, limit in found])
    statuses = seen.statuses if seen is not None else (None,) * len(found)
    left = [
        _limit_left(route, limit)
        if status is None
        else _limit_left(route, limit, remaining=status.remaining, reset_s=status.reset_s)
        for (route, limit), status in zip(found, statuses, strict=True)
    ]
    return [*left, *_streams_left(tenant)]


def _limit_left(route: str, limit: Limit, *, remaining: int | None = None, reset_s: float | None = None) -> LimitLeft:
    return LimitLeft(limit.name, limit.quota, limit.unit, route, limit.window_s, remaining, reset_s)


def _streams_left(tenant: Tenant) -> Iterator[LimitLeft]:
    if tenant.max_streams is not None:
        used = slots.in_use(tenant)
        remaining = None if used is None else max(0, tenant.max_streams - used)
        yield LimitLeft("streams", tenant.max_streams, "streams", remaining=remaining)


def budgets_left(principal: Principal, *, at: datetime | None = None) -> list[BudgetLeft]:
    """Blocking: every budget that binds calls of the site; where the proof names an end user, no other user's."""
    at = at or timezone.now()
    every = [one for tenant in chain(principal.tenant) for one in _budgets(tenant, at, own=tenant is principal.tenant)]
    if principal.end_user:
        every = [one for one in every if one.applies_to != END_USER or one.name in ("", principal.end_user)]
    named = [one for one in every if one.name or not one.applies_to]
    ids = budget_counters.ids_of(named)
    counters = BudgetPeriod.objects.in_bulk(set(ids.values()))
    left: list[BudgetLeft] = []
    for one in every:
        if one.name or not one.applies_to:
            left += _left(principal, one, counters.get(ids[one.key]))
        else:
            left += _left_of_each(principal, one, {other.key for other in named})
    return left


def _budgets(tenant: Tenant, at: datetime, *, own: bool) -> Iterator[Counted]:
    """The tenant's budgets, each hard or soft; ids of users are a site's own, so theirs bind nobody below."""
    starts = {DAY: tenant.start_of_day(at).astimezone(UTC), MONTH: tenant.start_of_month(at).astimezone(UTC)}
    for kind, hard_usd, soft_usd in (
        (DAY, tenant.budget_day_usd, tenant.soft_budget_day_usd),
        (MONTH, tenant.budget_month_usd, tenant.soft_budget_month_usd),
    ):
        if hard_usd is not None or soft_usd is not None:
            yield Counted(tenant, kind, starts[kind], hard_usd=hard_usd, soft_usd=soft_usd)
    for budget in tenant.budgets.all():
        if own or budget.applies_to != END_USER:
            yield _part(tenant, budget, starts[budget.period])


def _part(tenant: Tenant, budget: Budget, starts_at: datetime) -> Counted:
    hard_usd, soft_usd = (budget.amount_usd, None) if budget.is_hard else (None, budget.amount_usd)
    return Counted(
        tenant, budget.period, starts_at, budget.applies_to, budget.name, hard_usd=hard_usd, soft_usd=soft_usd
    )


def _left_of_each(principal: Principal, one: Counted, named: Iterable[object]) -> Iterator[BudgetLeft]:
    """Whoever has used the most of a budget of each, and those to come."""
    prefix = f"{one.applies_to}:"
    used = BudgetPeriod.objects.for_tenant(one.tenant).filter(kind=one.kind, starts_at=one.starts_at)
    used = used.filter(subject__startswith=prefix).order_by("-spent_usd", "pk")
    if principal.end_user and one.applies_to == END_USER:
        used = used.filter(subject=f"{prefix}{principal.end_user}")
    taken = set(named)
    for counter in used[:MAX_PARTS]:
        if (one.tenant.pk, counter.subject, one.kind, one.starts_at) not in taken:
            yield from _left(principal, one, counter, name=counter.subject.removeprefix(prefix))
    yield from _left(principal, one, None)


def _left(principal: Principal, one: Counted, counter: BudgetPeriod | None, *, name: str = "") -> Iterator[BudgetLeft]:
    spent = counter.spent_usd if counter else Decimal(0)
    reserved = counter.reserved_usd if counter else Decimal(0)
    above = one.tenant.pk != principal.tenant.pk
    for is_hard, budget_usd in ((True, one.hard_usd), (False, one.soft_usd)):
        if budget_usd is not None:
            yield BudgetLeft(
                above=above,
                applies_to=one.applies_to,
                name=name or one.name,
                period=one.kind,
                starts_at=one.starts_at,
                ends_at=one.ends_at,
                is_hard=is_hard,
                remaining_usd=max(Decimal(0), budget_usd - spent - reserved),
                budget_usd=None if above else budget_usd,
                spent_usd=None if above else spent,
                reserved_usd=None if above else reserved,
            )
