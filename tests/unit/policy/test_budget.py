"""Reserving and settling, one call at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from django_wp_ai.datatypes import UnitPrices
from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import Budget, BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.policy import budget
from django_wp_ai.policy.budget_scope import counted
from tests.factories import TenantFactory
from tests.unit.policy.contention import call_once, opened, settled

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def counter(tenant: Tenant, kind: str = "month") -> tuple[Decimal, Decimal]:
    row = BudgetPeriod.objects.for_tenant(tenant).get(kind=kind)
    return row.spent_usd, row.reserved_usd


def test_a_reservation_is_held_and_turned_into_what_the_call_cost() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    held = opened(tenant, Decimal("0.5"), NOON)
    assert held.event.reserved_usd == Decimal("0.5")
    assert counter(tenant) == (0, Decimal("0.5"))
    assert settled(held, Decimal("0.123456789"))
    assert counter(tenant) == (Decimal("0.123456789"), 0)


def test_a_budget_may_be_used_to_the_last_billionth() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal("0.3"))
    assert call_once(tenant, Decimal("0.1"), Decimal("0.1"))
    assert call_once(tenant, Decimal("0.2"), Decimal("0.199999999"))
    assert not call_once(tenant, Decimal("0.000000002"), Decimal(0))
    assert call_once(tenant, Decimal("0.000000001"), Decimal("0.000000001"))
    assert counter(tenant) == (Decimal("0.3"), 0)
    assert call_once(tenant, Decimal(0), Decimal(0))


def test_fifty_calls_of_ten_cents_make_five_dollars() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5))
    assert [call_once(tenant, Decimal("0.1"), Decimal("0.1")) for _ in range(51)] == [True] * 50 + [False]


def test_a_refusal_names_the_budget_and_holds_nothing() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(5), budget_day_usd=Decimal("0.25"))
    assert call_once(tenant, Decimal("0.2"), Decimal("0.2"))
    with pytest.raises(BudgetExceeded, match=r"^The daily budget of 0\.25 USD does not cover the call\.$"):
        opened(tenant, Decimal("0.1"))
    assert counter(tenant, "day") == counter(tenant, "month") == (Decimal("0.2"), 0)
    assert UsageEvent.objects.count() == 1


def test_a_refusal_within_a_callers_transaction_holds_nothing_and_leaves_that_usable() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal("0.1"), budget_day_usd=Decimal(5))
    assert call_once(tenant, Decimal("0.05"), Decimal("0.05"))
    with transaction.atomic(), pytest.raises(BudgetExceeded):
        opened(tenant, Decimal(1))
    assert counter(tenant, "day")[1] == counter(tenant, "month")[1] == 0
    assert call_once(tenant, Decimal("0.05"), Decimal("0.05"))


def test_a_refusal_tells_whether_the_money_is_spent_or_only_held() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    held = opened(tenant, Decimal("0.8"))
    with pytest.raises(BudgetExceeded) as refused:
        opened(tenant, Decimal("0.3"))
    assert refused.value.retry_after_s
    settled(held, Decimal("0.8"))
    with pytest.raises(BudgetExceeded) as refused:
        opened(tenant, Decimal("0.3"))
    assert refused.value.retry_after_s is None


def test_the_budgets_of_all_tenants_above_hold_too() -> None:
    agency = TenantFactory(budget_month_usd=Decimal(1))
    site = TenantFactory(parent=TenantFactory(parent=agency))
    sister = TenantFactory(parent=agency)
    assert call_once(site, Decimal("0.6"), Decimal("0.6"))
    with pytest.raises(BudgetExceeded, match="The monthly budget above this site"):
        opened(sister, Decimal("0.5"))
    assert call_once(agency, Decimal("0.4"), Decimal("0.4"))
    assert counter(agency) == (Decimal(1), 0)
    assert counter(site) == (Decimal("0.6"), 0)


def test_a_chain_of_parents_that_returns_is_walked_once() -> None:
    upper = TenantFactory(budget_day_usd=Decimal(1))
    lower = TenantFactory(parent=upper)
    Tenant.objects.filter(pk=upper.pk).update(parent=lower)
    lower.refresh_from_db()
    assert call_once(lower, Decimal("0.7"), Decimal("0.7"))
    assert counter(upper, "day") == counter(lower, "day") == (Decimal("0.7"), 0)


def test_without_a_budget_nothing_is_reserved_and_spend_is_counted_all_the_same() -> None:
    tenant = TenantFactory()
    held = opened(tenant, Decimal("0.5"))
    assert (held.event.reserved_usd, held.event.held_periods) == (None, [])
    settled(held, Decimal("0.4"))
    assert counter(tenant, "day") == counter(tenant, "month") == (Decimal("0.4"), 0)


def test_a_budget_set_later_knows_what_is_spent_and_frees_no_more_than_it_held() -> None:
    tenant = TenantFactory()
    call_once(tenant, Decimal("0.4"), Decimal("0.4"))
    before = opened(tenant, Decimal("0.3"))
    tenant.budget_month_usd = Decimal(1)
    tenant.save()
    during = opened(tenant, Decimal("0.5"))
    with pytest.raises(BudgetExceeded):
        opened(tenant, Decimal("0.2"))
    settled(before, Decimal("0.1"))
    assert counter(tenant) == (Decimal("0.5"), Decimal("0.5"))
    settled(during, Decimal("0.5"))
    assert counter(tenant) == (Decimal(1), 0)


def test_a_call_is_charged_to_the_period_it_was_opened_in() -> None:
    tenant = TenantFactory(timezone="America/New_York", budget_month_usd=Decimal(5))
    event = opened(tenant, Decimal(1), datetime(2026, 4, 1, 3, 59, tzinfo=UTC))  # 23:59 of 31 March there
    assert call_once(tenant, Decimal(5), Decimal(0))
    settled(event, Decimal(1))
    month = BudgetPeriod.objects.for_tenant(tenant).get(kind="month", spent_usd=1)
    assert month.starts_at == datetime(2026, 3, 1, 5, tzinfo=UTC)
    day = BudgetPeriod.objects.for_tenant(tenant).get(kind="day", spent_usd=1)
    assert day.starts_at == datetime(2026, 3, 31, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "at", "ends_at"),
    [
        (0, datetime(2026, 3, 29, 12, tzinfo=UTC), datetime(2026, 3, 29, 22, tzinfo=UTC)),  # a day of 23 hours
        (0, datetime(2026, 10, 25, 12, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)),  # a day of 25
        (1, datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC)),
        (1, datetime(2026, 12, 31, 22, tzinfo=UTC), datetime(2026, 12, 31, 23, tzinfo=UTC)),
    ],
)
def test_a_period_ends_where_the_next_one_starts(kind: int, at: datetime, ends_at: datetime) -> None:
    tenant = TenantFactory(timezone="Europe/Berlin")
    period = counted(tenant, at=at)[kind]
    assert period.ends_at == ends_at
    assert counted(tenant, at=ends_at)[kind].starts_at == ends_at


def test_after_a_change_of_time_zone_the_counter_starts_from_the_ledger() -> None:
    agency = TenantFactory(budget_month_usd=Decimal(1))
    site = TenantFactory(parent=agency)
    for tenant, cost in ((site, Decimal("0.4")), (agency, Decimal("0.3"))):
        settled(opened(tenant, cost, NOON), cost)
    Tenant.objects.filter(pk=agency.pk).update(timezone="Asia/Tokyo")
    moved = Tenant.objects.get(pk=agency.pk)
    with pytest.raises(BudgetExceeded):
        opened(moved, Decimal("0.31"), NOON)
    settled(opened(moved, Decimal("0.2"), NOON), Decimal("0.2"))
    Tenant.objects.filter(pk=agency.pk).update(timezone="Europe/Berlin")
    opened(Tenant.objects.get(pk=agency.pk), Decimal("0.1"), NOON)
    months = BudgetPeriod.objects.for_tenant(agency).filter(kind="month").order_by("pk")
    assert [(row.spent_usd, row.reserved_usd) for row in months] == [
        (Decimal("0.7"), 0),
        (Decimal("0.9"), 0),
        (Decimal("0.9"), Decimal("0.1")),
    ]


def test_an_unknown_cost_keeps_the_whole_reservation_as_spent() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    settled(opened(tenant, Decimal("0.75")), None)
    assert counter(tenant) == (Decimal("0.75"), 0)


def test_an_unknown_cost_without_a_reservation_is_no_spend() -> None:
    settled(opened(TenantFactory(), Decimal("0.75")), None)
    assert not BudgetPeriod.objects.exists()


def test_an_unknown_price_is_refused_by_a_budget_only() -> None:
    with pytest.raises(BudgetExceeded, match="price of this model is not known"):
        opened(TenantFactory(budget_day_usd=Decimal(1)), None)
    assert opened(TenantFactory(), None).event.reserved_usd is None


def test_a_call_that_cost_more_than_its_worst_case_is_charged_in_full() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    settled(opened(tenant, Decimal("0.5")), Decimal("1.25"))
    assert counter(tenant) == (Decimal("1.25"), 0)
    assert not call_once(tenant, Decimal(0), Decimal(0))


def test_a_call_is_settled_once() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    held = opened(tenant, Decimal("0.5"))
    assert [settled(held, Decimal("0.5")) for _ in range(3)] == [True, False, False]
    assert counter(tenant) == (Decimal("0.5"), 0)


def test_stale_calls_keep_their_worst_case_and_younger_ones_stay_open() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    stale = opened(tenant, Decimal("0.4"), datetime(2026, 3, 15, 9, tzinfo=UTC))
    unpriced = opened(TenantFactory(), None, datetime(2026, 3, 15, 9, tzinfo=UTC))
    young = opened(tenant, Decimal("0.2"), NOON)
    assert budget.settle_stale(opened_before=datetime(2026, 3, 15, 11, tzinfo=UTC), at=NOON) == 2
    assert counter(tenant) == (Decimal("0.4"), Decimal("0.2"))
    for event, cost in ((stale.event, Decimal("0.4")), (unpriced.event, None)):
        assert (event.state, event.settled_at, event.cost_usd, event.estimated) == ("settled", NOON, cost, True)
    assert young.event.state == "pending"


def test_a_stale_call_that_is_settled_meanwhile_is_left_as_it_was() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    late = [opened(tenant, Decimal("0.4"), NOON)]

    def settle_first(execute: Any, sql: str, *arguments: Any) -> Any:
        if sql.startswith("UPDATE") and late:
            settled(late.pop(), Decimal("0.1"))
        return execute(sql, *arguments)

    with connection.execute_wrapper(settle_first):
        assert budget.settle_stale(opened_before=NOON + timedelta(hours=1), at=NOON) == 0
    assert counter(tenant) == (Decimal("0.1"), 0)


def test_a_tenant_has_a_budget_when_one_above_it_has() -> None:
    agency = TenantFactory()
    site = TenantFactory(parent=agency)
    assert not budget.has_budget(site)
    agency.budget_day_usd = Decimal(0)
    assert budget.has_budget(agency)
    assert budget.has_budget(site)


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "-0.01"])
def test_what_is_no_amount_is_refused(amount: str) -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    with pytest.raises(ValueError, match="not an amount"):
        opened(tenant, Decimal(amount))


@pytest.mark.parametrize("amount", ["100000000", "1e17", "1e40"])
def test_an_amount_above_the_budget_itself_is_refused_without_a_trace(amount: str) -> None:
    with pytest.raises(BudgetExceeded) as refused:
        opened(TenantFactory(budget_month_usd=Decimal("99999999.9999")), Decimal(amount))
    assert refused.value.retry_after_s is None
    assert not BudgetPeriod.objects.exists()


@pytest.mark.django_db(transaction=True)  # within one, a savepoint guards each statement
@pytest.mark.postgresql
def test_a_call_takes_one_statement_to_open_and_one_to_settle(django_assert_num_queries: Any) -> None:
    agency = TenantFactory(budget_month_usd=Decimal(9), soft_budget_day_usd=Decimal(8))
    tenant = TenantFactory(budget_month_usd=Decimal(1), budget_day_usd=Decimal(1), parent=agency)
    for applies_to in ("end_user", "model"):
        Budget.objects.create(tenant=tenant, applies_to=applies_to, period="day", amount_usd=Decimal(1))
    attach_budgets([tenant])
    settled(opened(tenant, Decimal("0.1"), end_user="7"), Decimal("0.01"))
    with django_assert_num_queries(1):
        held = opened(tenant, Decimal("0.1"), end_user="7")
    with django_assert_num_queries(1):
        settled(held, Decimal("0.01"))
    with django_assert_num_queries(1), pytest.raises(BudgetExceeded):
        opened(tenant, Decimal(1), end_user="7")


@pytest.mark.postgresql
def test_a_counter_that_is_gone_is_made_anew_from_the_ledger() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    assert call_once(tenant, Decimal("0.3"), Decimal("0.3"))
    BudgetPeriod.objects.all().delete()
    held = opened(tenant, Decimal("0.5"))
    assert counter(tenant) == (Decimal("0.3"), Decimal("0.5"))
    BudgetPeriod.objects.all().delete()
    assert settled(held, Decimal("0.4"))
    assert counter(tenant) == (Decimal("0.7"), 0)
    assert counter(tenant, "day") == (Decimal("0.7"), 0)


def test_a_stale_call_whose_counter_is_gone_is_settled() -> None:
    tenant = TenantFactory(budget_month_usd=Decimal(1))
    held = opened(tenant, Decimal("0.4"), NOON)
    BudgetPeriod.objects.all().delete()
    assert budget.settle_stale(opened_before=NOON + timedelta(hours=1), at=NOON) == 1
    assert held.event.state == "settled"
    assert counter(tenant) == (Decimal("0.4"), 0)


@pytest.mark.parametrize(
    ("prices", "tokens", "usd"),
    [
        ((Decimal("0.15"), Decimal("0.6")), (1000, 500, 1), "0.00045"),
        ((Decimal("0.15"), Decimal("0.6")), (1000, 500, 3), "0.00105"),
        ((Decimal(3), Decimal(15), Decimal("0.3"), Decimal("3.75")), (1000, 0, 1), "0.00375"),
        ((Decimal("0.0001"), Decimal(0)), (1, 0, 1), "0.000000001"),  # rounded up
        ((Decimal(0), Decimal(0)), (10**9, 10**9, 8), "0"),
    ],
)
def test_the_worst_case_takes_the_dearest_price_of_each_token(
    prices: tuple[Decimal, ...], tokens: tuple[int, int, int], usd: str
) -> None:
    assert budget.worst_case(UnitPrices(*prices), *tokens) == Decimal(usd)


def test_a_worst_case_of_less_than_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="negative"):
        budget.worst_case(UnitPrices(Decimal(1), Decimal(1)), -1, 0, 1)


def test_a_counter_says_what_it_is() -> None:
    tenant = TenantFactory()
    settled(opened(tenant, None, NOON), Decimal(1))
    assert str(BudgetPeriod.objects.for_tenant(tenant).get(kind="day")) == f"{tenant.pk} day 2026-03-15"
