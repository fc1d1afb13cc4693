"""Limits and budgets under many processes and threads at once."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.policy import budget
from tests.factories import TenantFactory
from tests.unit.policy import contention

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql, pytest.mark.once]


@pytest.mark.parametrize(("store", "calls"), [("cache", 250), ("database", 60)])
def test_four_processes_together_pass_exactly_the_quota(store: str, calls: int) -> None:
    results = contention.run("take", processes=4, quota=100, calls=calls, threads=4, store=store)
    assert sum(passed for result in results for passed in result) == 100


def counters(tenant: Tenant) -> dict[str, tuple[Decimal, Decimal]]:
    return {row.kind: (row.spent_usd, row.reserved_usd) for row in BudgetPeriod.objects.for_tenant(tenant)}


def test_parallel_calls_use_a_budget_up_and_never_pass_it() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    admitted = contention.run(
        "spend", processes=4, tenants=[tenant.pk], calls=100, threads=4, worst_usd="0.05", cost_usd="0.02"
    )
    month = counters(tenant)["month"]
    assert Decimal("4.90") <= month[0] <= 5
    assert month == (sum(admitted) * Decimal("0.02"), 0)
    assert counters(tenant)["day"] == month
    assert UsageEvent.objects.for_tenant(tenant).spend() == month[0]


def test_parties_of_calls_use_a_budget_up_and_never_pass_it() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    admitted = contention.run(
        "spend together",
        processes=4,
        tenants=[tenant.pk],
        parties=24,
        of=12,
        threads=4,
        worst_usd="0.05",
        cost_usd="0.02",
    )
    calls = sum(sum(result) for result in admitted)
    month = counters(tenant)["month"]
    assert Decimal("4.90") <= month[0] <= 5
    assert month == (calls * Decimal("0.02"), 0)
    assert counters(tenant)["day"] == month
    assert UsageEvent.objects.for_tenant(tenant).spend() == month[0]


def test_parties_of_several_tenants_share_their_parents_budget_without_deadlock() -> None:
    agency = TenantFactory(budget_month_usd=Decimal(2), budget_day_usd=Decimal(50))
    sites = [TenantFactory(parent=agency, budget_month_usd=Decimal("0.8")) for _ in range(3)]
    admitted = contention.run(
        "spend together",
        processes=3,
        tenants=[tenant.pk for tenant in (*sites, agency)],
        parties=24,
        of=6,
        threads=4,
        worst_usd="0.01",
        cost_usd="0.01",
    )
    assert counters(agency)["month"] == (Decimal(2), 0)
    assert sum(sum(result) for result in admitted) == 200
    assert all(counters(site)["month"][0] <= Decimal("0.8") for site in sites)
    assert sum(UsageEvent.objects.for_tenant(site).spend() for site in (*sites, agency)) == 2


def test_families_of_tenants_share_budgets_without_deadlock() -> None:
    agency = TenantFactory(budget_month_usd=Decimal(1), budget_day_usd=Decimal(50))
    region = TenantFactory(parent=agency, budget_day_usd=Decimal("0.7"))
    # Made in this order the counters of children come before, between and after those of their parents.
    sites = [
        TenantFactory(parent=parent, budget_month_usd=Decimal("0.5")) for parent in (region, agency, region, agency)
    ]
    ids = [tenant.pk for tenant in (*sites, region, agency)]
    admitted = contention.run("spend", processes=3, tenants=ids, calls=90, threads=4, worst_usd="0.01", cost_usd="0.01")
    assert counters(agency)["month"] == (Decimal(1), 0)
    assert sum(admitted) == 100
    assert counters(region)["day"][0] <= Decimal("0.7")
    spends = {tenant.pk: UsageEvent.objects.for_tenant(tenant).spend() for tenant in Tenant.objects.all()}
    assert counters(region)["day"][0] == spends[region.pk] + spends[sites[0].pk] + spends[sites[2].pk]
    assert all(spends[site.pk] <= Decimal("0.5") for site in sites)


def test_a_process_killed_in_mid_call_leaves_its_worst_case_spent() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    child = contention.start("die", tenant=tenant.pk, worst_usd="4.99")
    contention.wait_until_ready(child)
    assert child.stdin is not None
    assert child.stdout is not None
    print("go", file=child.stdin, flush=True)
    assert child.stdout.readline() == "calling\n"
    child.kill()
    child.communicate()
    assert counters(tenant)["month"] == (0, Decimal("4.99"))
    assert not contention.call_once(tenant, Decimal("0.02"), Decimal("0.02"))

    now = timezone.now()
    assert budget.settle_stale(opened_before=now, at=now) == 1
    assert counters(tenant)["month"] == (Decimal("4.99"), 0)
    event = UsageEvent.objects.for_tenant(tenant).get()
    assert (event.state, event.cost_usd, event.estimated) == ("settled", Decimal("4.99"), True)
    assert contention.call_once(tenant, Decimal("0.01"), Decimal("0.01"))
    assert not contention.call_once(tenant, Decimal("0.01"), Decimal("0.01"))


def test_a_call_settled_by_many_at_once_is_charged_once() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    held = contention.opened(tenant, Decimal(1))
    results = contention.in_threads(lambda: contention.settled(held, Decimal("0.5")), calls=12, threads=6)
    assert sum(results) == 1
    assert counters(tenant)["month"] == (Decimal("0.5"), 0)
