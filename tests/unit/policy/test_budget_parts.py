"""Budgets of end users and of models: which calls they bind, and what they count."""

from __future__ import annotations

from decimal import Decimal

import pytest

from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import Budget, BudgetPeriod, Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.policy import budget
from django_wp_ai.policy.budget_scope import MAX_SUBJECT, matches
from tests.factories import TenantFactory
from tests.unit.policy.contention import call_once, opened, settled

pytestmark = pytest.mark.django_db

CENT = Decimal("0.01")
MINI, LARGE, OTHER = "openai:gpt-4o-mini", "openai:gpt-4o", "anthropic:claude-sonnet-4-5"


def allow(tenant: Tenant, amount: str, *, is_hard: bool = True, **of: str) -> Budget:
    """A budget of the tenant: ``end_user="7"`` or ``model="…"``, empty for each one."""
    [(applies_to, name)] = of.items()
    return Budget.objects.create(
        tenant=tenant, applies_to=applies_to, name=name, period="day", amount_usd=Decimal(amount), is_hard=is_hard
    )


def counters(tenant: Tenant) -> dict[str, Decimal]:
    """What is spent today, by subject."""
    rows = BudgetPeriod.objects.for_tenant(tenant).filter(kind="day")
    return dict(rows.values_list("subject", "spent_usd"))


def spend(tenant: Tenant, usd: str, *, end_user: str = "", model: str = MINI) -> bool:
    return call_once(tenant, Decimal(usd), Decimal(usd), end_user=end_user, models=(model,))


def test_a_budget_for_each_end_user_binds_each_alone() -> None:
    tenant = TenantFactory()
    allow(tenant, "0.5", end_user="")
    ann, ben = opened(tenant, Decimal("0.4"), end_user="ann"), opened(tenant, Decimal("0.5"), end_user="ben")
    with pytest.raises(BudgetExceeded, match=r"^The daily budget of 0\.5000 USD for this end user does not cover"):
        opened(tenant, Decimal("0.2"), end_user="ann")
    for held in (ann, ben):
        settled(held, held.reservation.amount_usd)
    assert counters(tenant) == {"": Decimal("0.9"), "end_user:ann": Decimal("0.4"), "end_user:ben": Decimal("0.5")}


def test_a_call_of_nobody_falls_under_no_end_users_budget() -> None:
    tenant = TenantFactory()
    allow(tenant, "0", end_user="")
    assert opened(tenant, Decimal(1)).reservation.amount_usd is None


def test_a_budget_for_one_takes_the_place_of_the_one_for_each() -> None:
    tenant = TenantFactory()
    allow(tenant, "0.1", end_user="")
    allow(tenant, "0.3", end_user="editor")
    assert opened(tenant, Decimal("0.3"), end_user="editor")
    with pytest.raises(BudgetExceeded):
        opened(tenant, Decimal("0.11"), end_user="reader")


def test_a_budget_for_a_model_by_name_or_glob_binds_the_models_it_fits() -> None:
    tenant = TenantFactory()
    allow(tenant, "0.5", model="gpt-4o*")
    allow(tenant, "0.2", model=LARGE)
    assert call_once(tenant, Decimal("0.2"), Decimal("0.2"), models=(LARGE,))
    with pytest.raises(BudgetExceeded, match="for this model"):
        opened(tenant, CENT, models=(LARGE,))
    assert opened(tenant, Decimal("0.3"), models=(MINI,))
    with pytest.raises(BudgetExceeded, match="for this model"):
        opened(tenant, CENT, models=(MINI,))
    assert opened(tenant, Decimal(9), models=(OTHER,)).reservation.amount_usd is None


@pytest.mark.parametrize(
    ("pattern", "model", "fits"),
    [
        (MINI, MINI, True),
        ("gpt-4o-mini", MINI, True),
        ("gpt-4o", MINI, False),
        ("openai:*", MINI, True),
        ("*mini", MINI, True),
        ("anthropic:*", MINI, False),
        ("my[1]", "own:my[1]", True),
    ],
)
def test_a_model_is_named_with_or_without_its_provider(pattern: str, model: str, fits: bool) -> None:
    assert matches(pattern, model) is fits


def test_a_call_that_several_may_answer_is_held_for_all_and_charged_to_the_one_that_did() -> None:
    tenant = TenantFactory()
    allow(tenant, "1", model="")
    held = opened(tenant, Decimal("0.6"), models=(LARGE, OTHER))
    with pytest.raises(BudgetExceeded):
        opened(tenant, Decimal("0.5"), models=(OTHER,))
    settled(held, Decimal("0.5"), model=OTHER)
    assert counters(tenant) == {"": Decimal("0.5"), f"model:{LARGE}": 0, f"model:{OTHER}": Decimal("0.5")}
    assert not BudgetPeriod.objects.exclude(reserved_usd=0).exists()


def test_a_models_budget_binds_the_tenants_below_and_an_end_users_does_not() -> None:
    agency = TenantFactory()
    allow(agency, "0.5", model="")
    allow(agency, "0", end_user="")
    sites = [TenantFactory(parent=agency), TenantFactory(parent=agency)]
    assert [spend(site, "0.3", end_user="7") for site in sites] == [True, False]
    with pytest.raises(BudgetExceeded, match="The daily budget above this site for this model"):
        opened(sites[1], Decimal("0.3"), models=(MINI,))
    assert counters(agency) == {"": Decimal("0.3"), f"model:{MINI}": Decimal("0.3")}


def test_a_budget_added_later_starts_from_what_the_ledger_has_of_its_part() -> None:
    agency = TenantFactory()
    tenant = TenantFactory(parent=agency)
    spend(tenant, "0.4", end_user="ann", model=LARGE)
    spend(tenant, "0.3", end_user="ben", model=OTHER)
    spend(agency, "0.2", end_user="ann", model=LARGE)
    allow(tenant, "0.5", end_user="ann")
    allow(agency, "0.7", model="gpt-*")
    assert [spend(tenant, usd, end_user="ann", model=OTHER) for usd in ("0.11", "0.1")] == [False, True]
    assert [spend(tenant, usd, model=LARGE) for usd in ("0.11", "0.1")] == [False, True]
    assert counters(agency)["model:gpt-*"] == Decimal("0.7")


def test_a_long_name_is_counted_under_its_hash() -> None:
    tenant = TenantFactory()
    allow(tenant, "1", model="")
    long = f"{'p' * 60}:{'m' * 120}"
    spend(tenant, "0.1", model=long)
    [subject] = [subject for subject in counters(tenant) if subject]
    assert subject.startswith("model:sha256:")
    assert len(subject) <= MAX_SUBJECT
    assert not spend(tenant, "0.95", model=long)


def test_a_soft_budget_refuses_nothing_and_counts() -> None:
    tenant = TenantFactory()
    allow(tenant, "0.1", end_user="", is_hard=False)
    assert spend(tenant, "0.5", end_user="7")
    assert counters(tenant)["end_user:7"] == Decimal("0.5")
    assert not budget.has_budget(tenant)


def test_ten_budgets_at_once_are_all_right() -> None:
    agency = TenantFactory(budget_day_usd=Decimal(50), budget_month_usd=Decimal(60))
    tenant = TenantFactory(parent=agency, budget_day_usd=Decimal(20), budget_month_usd=Decimal(30))
    for owner in (agency, tenant):
        allow(owner, "10", model="")
        allow(owner, "5", model="openai:*")
    allow(tenant, "4", end_user="")
    allow(tenant, "1", end_user="", is_hard=False)
    assert budget.has_budget(tenant)
    held = opened(tenant, Decimal(3), end_user="7", models=(MINI, OTHER))
    assert len(held.event.held_periods) == 11
    assert BudgetPeriod.objects.filter(reserved_usd=3).count() == 11
    settled(held, Decimal(2), model=OTHER)
    assert not BudgetPeriod.objects.exclude(reserved_usd=0).exists()
    assert counters(tenant) == {
        "": 2,
        "end_user:7": 2,
        f"model:{OTHER}": 2,
        f"model:{MINI}": 0,
        "model:openai:*": 0,
    }


def test_a_swept_call_keeps_its_worst_case_in_all_that_held_it() -> None:
    tenant = TenantFactory()
    allow(tenant, "1", end_user="")
    allow(tenant, "1", model="")
    held = opened(tenant, Decimal("0.6"), end_user="7", models=(MINI, OTHER))
    at = held.event.created_at.replace(year=held.event.created_at.year + 1)
    assert budget.settle_stale(opened_before=at, at=at) == 1
    assert counters(tenant) == {
        "": Decimal("0.6"),
        "end_user:7": Decimal("0.6"),
        f"model:{MINI}": Decimal("0.6"),
        f"model:{OTHER}": Decimal("0.6"),
    }


def test_a_tenant_comes_with_all_above_it_and_their_budgets(django_assert_num_queries: object) -> None:
    agency = TenantFactory(budget_day_usd=Decimal(1))
    region = TenantFactory(parent=agency)
    site = Tenant.objects.get(pk=TenantFactory(parent=region).pk)
    allow(agency, "1", model="")
    attach_budgets([site])
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert budget.has_budget(site)
        assert [list(above.budgets.all()) == [] for above in (site, site.parent, site.parent.parent)] == [
            True,
            True,
            False,
        ]


def test_a_chain_of_parents_that_returns_is_loaded_once() -> None:
    upper = TenantFactory()
    lower = TenantFactory(parent=upper)
    Tenant.objects.filter(pk=upper.pk).update(parent=lower)
    found = Tenant.objects.get(pk=lower.pk)
    attach_budgets([found])
    assert found.parent.parent == lower
