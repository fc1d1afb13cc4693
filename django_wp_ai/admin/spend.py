"""What tenants spent this month, for a page of tenants in one query and for one tenant exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db.models import Case, Count, DateTimeField, F, OuterRef, Q, QuerySet, Subquery, Sum, Value, When
from django.db.models.functions import Coalesce

from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent

UNKNOWN_PRICE = Q(state=UsageEvent.State.SETTLED, cost_usd=None)


@dataclass(frozen=True, slots=True)
class Spend:
    """Sums of usage rows: money as far as it is known, and how many calls have no known price."""

    calls: int
    cost_usd: Decimal
    unknown: int


def spend_since(tenant: Tenant, start: datetime) -> Spend:
    """What one tenant used from ``start`` on."""
    sums = (
        UsageEvent.objects.for_tenant(tenant)
        .since(start)
        .aggregate(calls=Count("pk"), cost=Sum("cost_usd"), unknown=Count("pk", filter=UNKNOWN_PRICE))
    )
    return Spend(calls=sums["calls"], cost_usd=sums["cost"] or Decimal(0), unknown=sums["unknown"])


def counted(tenant: Tenant, kind: str, start: datetime) -> Decimal | None:
    """What is counted against the budget of a day or month, tenants below included; ``None`` before the first call."""
    periods = BudgetPeriod.objects.for_tenant(tenant).filter(subject="", kind=kind, starts_at=start)
    return periods.values_list("spent_usd", flat=True).first()


def with_month_to_date(tenants: QuerySet[Tenant]) -> QuerySet[Tenant]:
    """Annotate ``month_spend``, ``month_unknown``, ``month_counted`` (against the budget) and ``month_share`` of it.

    Months begin in each tenant's time zone.
    """
    zones = Tenant.objects.order_by().values_list("timezone", flat=True).distinct()
    starts = [When(timezone=zone, then=Value(Tenant(timezone=zone).start_of_month())) for zone in zones]
    begins = Case(*starts, default=Value(Tenant().start_of_month()), output_field=DateTimeField())
    rows = (
        UsageEvent.objects.filter(tenant=OuterRef("pk"), created_at__gte=OuterRef("month_start"))
        .order_by()
        .values("tenant")
    )
    spent = rows.annotate(total=Sum("cost_usd")).values("total")
    unknown = rows.filter(UNKNOWN_PRICE).annotate(total=Count("pk")).values("total")
    periods = BudgetPeriod.objects.filter(
        tenant=OuterRef("pk"), subject="", kind=BudgetPeriod.Kind.MONTH, starts_at=OuterRef("month_start")
    )
    return tenants.annotate(
        month_start=begins,
        month_spend=Coalesce(Subquery(spent), Decimal(0)),
        month_unknown=Coalesce(Subquery(unknown), 0),
        month_counted=Coalesce(Subquery(periods.values("spent_usd")), F("month_spend")),
        month_share=Case(When(budget_month_usd__gt=0, then=F("month_counted") / F("budget_month_usd"))),
    )
