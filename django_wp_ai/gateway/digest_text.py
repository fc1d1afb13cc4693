"""What a digest says: figures of the ledger, of jobs, callbacks and budgets; no word of a prompt or an answer."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from django.db.models import Count, Q, Sum

from django_wp_ai.gateway import usage_report
from django_wp_ai.models import BudgetPeriod, Callback, Job, Tenant, UsageEvent
from django_wp_ai.policy import budget_counters
from django_wp_ai.policy.budget_scope import DAY, MONTH, Counted

TOP_MODELS = 5


@dataclass(frozen=True, slots=True)
class Digest:
    """A plain-text mail."""

    subject: str
    body: str


def write(tenant: Tenant, *, start: datetime, end: datetime) -> Digest | None:
    """Blocking: the digest of the time from ``start`` to before ``end``; None where there was nothing in it."""
    used = usage_report.report(tenant, start=start, end=end).totals
    jobs = Job.objects.for_tenant(tenant).filter(finished_at__gte=start, finished_at__lt=end)
    ended = jobs.order_by().aggregate(
        succeeded=Count("pk", filter=Q(status=Job.Status.SUCCEEDED)),
        failed=Count("pk", filter=Q(status=Job.Status.FAILED)),
    )
    letters = Callback.objects.for_tenant(tenant).filter(state=Callback.State.DEAD)
    dead = letters.filter(ended_at__gte=start, ended_at__lt=end).count()
    if not (used["calls"] or ended["succeeded"] or ended["failed"] or dead):
        return None
    time = _days(tenant, start, end)
    lines = [
        f"Site: {tenant} ({tenant.slug})",
        f"Time: {time} ({tenant.timezone})",
        "",
        f"Calls: {used['calls']}",
        f"Errors: {used['errors']}",
        f"From cache: {used['cache_hits']}",
        f"Tokens: {used['input_tokens']} in, {used['output_tokens']} out",
        f"Cost: {_cost(used['cost_usd'], used['unknown_price'])}",
        *_models(tenant, start, end),
        "",
        f"Jobs: {ended['succeeded']} succeeded, {ended['failed']} failed",
        f"Dead callbacks: {dead}",
        *_budgets(tenant, start, end),
    ]
    return Digest(f"[{tenant.slug}] Digest of {time}", "\n".join(lines) + "\n")


def _days(tenant: Tenant, start: datetime, end: datetime) -> str:
    zone = zoneinfo.ZoneInfo(tenant.timezone)
    first, last = start.astimezone(zone).date(), (end - timedelta(microseconds=1)).astimezone(zone).date()
    return f"{first}" if first == last else f"{first} to {last}"


def _cost(usd: Decimal, unknown: int) -> str:
    """An unknown price is never a price of nothing."""
    parts = [f"{usd:.4f} USD"] if usd or not unknown else []
    if unknown:
        parts.append(f"unknown for {_calls(unknown)}")
    return ", ".join(parts)


def _models(tenant: Tenant, start: datetime, end: datetime) -> Iterator[str]:
    """Those that were called most."""
    calls = UsageEvent.objects.for_tenant(tenant).filter(created_at__gte=start, created_at__lt=end)
    rows = calls.order_by().values("provider", "model")
    rows = rows.annotate(
        calls=Count("pk"),
        usd=Sum("cost_usd", default=Decimal(0)),
        unknown=Count("pk", filter=Q(state=UsageEvent.State.SETTLED, cost_usd=None)),
    )
    top = list(rows.order_by("-calls", "provider", "model")[:TOP_MODELS])
    if top:
        yield from ("", "Models called most:")
    for row in top:
        name = " ".join(f"{row['provider']}:{row['model']}".split())  # a name stays on its line
        yield f"  {name}: {_calls(row['calls'])}, {_cost(row['usd'], row['unknown'])}"


def _budgets(tenant: Tenant, start: datetime, end: datetime) -> Iterator[str]:
    """The tenant's own for all calls: of the day that ended, and of the month in which the time ended, so far."""
    last = end - timedelta(microseconds=1)
    day, month = tenant.start_of_day(last).astimezone(UTC), tenant.start_of_month(last).astimezone(UTC)
    counted = [
        Counted(tenant, MONTH, month, hard_usd=tenant.budget_month_usd, soft_usd=tenant.soft_budget_month_usd),
    ]
    if day == start:
        counted.insert(
            0, Counted(tenant, DAY, day, hard_usd=tenant.budget_day_usd, soft_usd=tenant.soft_budget_day_usd)
        )
    counted = [one for one in counted if one.hard_usd is not None or one.soft_usd is not None]
    ids = budget_counters.ids_of(counted)
    counters = BudgetPeriod.objects.in_bulk(set(ids.values()))
    if counted:
        yield ""
    for one in counted:
        found = counters.get(ids[one.key])
        spent = found.spent_usd if found else Decimal(0)
        name = "daily" if one.kind == DAY else "monthly"
        for label, budget in ((f"{name} budget", one.hard_usd), (f"soft {name} budget", one.soft_usd)):
            if budget is not None:
                yield f"{label.capitalize()}: {spent:.4f} of {budget:.2f} USD used{_share(spent, budget)}"


def _share(spent: Decimal, budget: Decimal) -> str:
    return f" ({100 * spent / budget:.0f} %)" if budget else ""


def _calls(number: int) -> str:
    return "1 call" if number == 1 else f"{number} calls"
