"""When a budget is used so far that somebody must know."""

from __future__ import annotations

from decimal import Decimal

import pytest

from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import Budget, BudgetAlert, Tenant
from tests.factories import TenantFactory
from tests.unit.policy import contention
from tests.unit.policy.contention import call_once, opened

pytestmark = pytest.mark.django_db


def spend(tenant: Tenant, usd: str, **call: object) -> bool:
    return call_once(tenant, Decimal(usd), Decimal(usd), **call)


def levels(tenant: Tenant) -> list[tuple[str, str, str]]:
    return sorted(BudgetAlert.objects.for_tenant(tenant).values_list("level", "kind", "subject"))


def test_four_fifths_of_a_hard_budget_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    tenant = TenantFactory(budget_day_usd=Decimal(1))
    spend(tenant, "0.79")
    assert levels(tenant) == []
    for usd in ("0.01", "0.1", "0.05"):
        spend(tenant, usd)
    assert levels(tenant) == [("near", "day", "")]
    alert = BudgetAlert.objects.get()
    assert (alert.budget_usd, alert.spent_usd, alert.notified_at) == (1, Decimal("0.8"), None)
    assert str(alert) == f"{tenant.pk} day near"
    [record] = [record for record in caplog.records if record.levelname == "WARNING"]
    assert record.getMessage() == f"Tenant {tenant.slug} has spent 0.800000000 USD of its hard budget of 1 USD per day."


def test_a_soft_budget_is_told_when_it_is_used_and_stops_nothing() -> None:
    tenant = TenantFactory(soft_budget_month_usd=Decimal("0.5"))
    spend(tenant, "0.49")
    assert levels(tenant) == []
    assert spend(tenant, "0.01")
    assert spend(tenant, "5")
    assert levels(tenant) == [("soft", "month", "")]


def test_what_is_only_held_is_not_told() -> None:
    tenant = TenantFactory(budget_day_usd=Decimal(1))
    opened(tenant, Decimal("0.95"))
    with pytest.raises(BudgetExceeded):
        opened(tenant, Decimal("0.1"))
    assert levels(tenant) == []


def test_a_budget_lowered_below_what_is_spent_is_told_when_it_refuses() -> None:
    tenant = TenantFactory()
    spend(tenant, "5")
    tenant.budget_month_usd = Decimal(2)
    tenant.save()
    assert not spend(tenant, "1")
    assert levels(tenant) == [("near", "month", "")]


def test_each_end_user_model_and_tenant_above_has_its_own_alert_and_the_log_names_no_user(
    caplog: pytest.LogCaptureFixture,
) -> None:
    agency = TenantFactory(budget_day_usd=Decimal("0.1"))
    tenant = TenantFactory(parent=agency)
    for applies_to in ("end_user", "model"):
        Budget.objects.create(tenant=tenant, applies_to=applies_to, period="day", amount_usd=Decimal("0.1"))
    spend(tenant, "0.09", end_user="ann@example.org")
    assert levels(agency) == [("near", "day", "")]
    assert levels(tenant) == [("near", "day", "end_user:ann@example.org"), ("near", "day", "model:stand-in:m")]
    assert "for one end user" in caplog.text
    assert "ann" not in caplog.text


def test_nothing_spent_is_nothing_to_tell() -> None:
    tenant = TenantFactory(budget_day_usd=Decimal(0), soft_budget_day_usd=Decimal(0))
    assert spend(tenant, "0")
    assert not spend(tenant, "1")
    assert levels(tenant) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.postgresql
def test_fifty_calls_that_cross_at_once_make_one_alert() -> None:
    tenant = TenantFactory(budget_day_usd=Decimal(100), soft_budget_month_usd=Decimal(2))
    spend(tenant, "79.99")
    contention.run("spend", processes=2, tenants=[tenant.pk], calls=25, threads=8, worst_usd="0.1", cost_usd="0.1")
    assert levels(tenant) == [("near", "day", ""), ("soft", "month", "")]
