"""The way of databases without statements of their own: the same answers, whichever database runs it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import connection

from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import BudgetAlert, BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.policy import budget, budget_batches, budget_rows
from tests.factories import TenantFactory
from tests.unit.policy.contention import call_once, opened, settled

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_database", lambda: budget_rows)


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create(budget_month_usd=Decimal(1), budget_day_usd=Decimal("0.6"))


def month(tenant: Tenant) -> tuple[Decimal, Decimal]:
    row = BudgetPeriod.objects.for_tenant(tenant).get(kind="month")
    return row.spent_usd, row.reserved_usd


def test_each_database_has_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert budget._database() is (budget_batches if connection.vendor == "postgresql" else budget_rows)


def test_a_call_is_held_refused_and_settled(tenant: Tenant) -> None:
    held = opened(tenant, Decimal("0.5"))
    assert (held.event.reserved_usd, len(held.event.held_periods)) == (Decimal("0.5"), 2)
    with pytest.raises(BudgetExceeded, match=r"^The daily budget of 0\.6 USD does not") as refused:
        opened(tenant, Decimal("0.2"))
    assert refused.value.retry_after_s
    assert month(tenant) == (0, Decimal("0.5"))
    assert [settled(held, Decimal("0.5")) for _ in range(2)] == [True, False]
    assert month(tenant) == (Decimal("0.5"), 0)
    assert not call_once(tenant, Decimal("0.2"), Decimal("0.2"))
    assert UsageEvent.objects.count() == 1
    assert BudgetAlert.objects.get().kind == "day"


def test_without_a_budget_the_row_is_all() -> None:
    assert opened(TenantFactory.create(), Decimal(1)).event.reserved_usd is None


def test_a_counter_that_is_gone_is_made_anew(tenant: Tenant) -> None:
    assert call_once(tenant, Decimal("0.3"), Decimal("0.3"))
    BudgetPeriod.objects.all().delete()
    held = opened(tenant, Decimal("0.2"))
    BudgetPeriod.objects.all().delete()
    assert settled(held, Decimal("0.1"))
    assert month(tenant) == (Decimal("0.4"), 0)
