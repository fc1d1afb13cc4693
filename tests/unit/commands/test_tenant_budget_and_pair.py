from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError
from django.utils import timezone

from django_wp_ai.gateway import pairing
from django_wp_ai.models import Budget, PairingCode
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

ONE = ("--applies-to", "end_user", "--name", "7", "--period", "day")


@pytest.fixture
def tenant():
    return TenantFactory(slug="blog", site_url="https://blog.example.org")


def budget(shell, *words):
    return shell.json("wp_ai_tenant", "budget", "blog", *words)


def test_a_budget_is_saved_and_read_back(shell, tenant):
    told = budget(shell, *ONE, "--usd", "1.5")
    assert told == [{"applies_to": "end_user", "name": "7", "period": "day", "amount_usd": 1.5, "is_hard": True}]
    [stored] = Budget.objects.for_tenant(tenant)
    assert (stored.applies_to, stored.name, stored.period) == ("end_user", "7", "day")
    assert (stored.amount_usd, stored.is_hard) == (Decimal("1.5"), True)
    assert budget(shell) == told


def test_a_budget_is_changed_by_setting_it_again_and_a_soft_one_stands_beside_it(shell, tenant):
    budget(shell, *ONE, "--usd", "1")
    budget(shell, *ONE, "--usd", "0.5", "--soft")
    told = budget(shell, *ONE, "--usd", "2")
    assert {(row["is_hard"], row["amount_usd"]) for row in told} == {(True, 2), (False, 0.5)}


def test_without_a_name_it_is_for_each_one(shell, tenant):
    [told] = budget(shell, "--applies-to", "model", "--period", "month", "--usd", "3")
    assert told["name"] == ""


def test_none_removes_one_budget_and_says_when_there_is_none(shell, tenant):
    budget(shell, *ONE, "--usd", "1")
    budget(shell, *ONE, "--usd", "1", "--soft")
    assert [row["is_hard"] for row in budget(shell, *ONE, "--usd", "none")] == [False]
    with pytest.raises(CommandError, match="no such budget"):
        budget(shell, *ONE, "--usd", "none")


def test_budgets_of_other_tenants_are_left_alone(shell, tenant):
    other = Budget.objects.create(
        tenant=TenantFactory(slug="other"), applies_to="end_user", name="7", period="day", amount_usd=9
    )
    budget(shell, *ONE, "--usd", "1")
    budget(shell, *ONE, "--usd", "none")
    assert [row.pk for row in Budget.objects.all()] == [other.pk]
    assert "no budgets" in shell.run("wp_ai_tenant", "budget", "blog")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--usd", "1"], "Say which budget"),
        (["--usd", "1", "--applies-to", "model"], "Say which budget"),
        ([*ONE], "Give --usd"),
        (["--soft"], "Give --usd"),
        ([*ONE, "--usd", "-1"], "not an amount"),
        ([*ONE, "--usd", "NaN"], "not an amount"),
        ([*ONE, "--usd", "0.00001"], "amount_usd"),
        ([*ONE, "--usd", "1e12"], "amount_usd"),
        (["--applies-to", "plugin", "--period", "day", "--usd", "1"], "invalid choice"),
        (["--applies-to", "model", "--period", "week", "--usd", "1"], "invalid choice"),
        (["--applies-to", "model", "--name", "x" * 129, "--period", "day", "--usd", "1"], "name"),
    ],
)
def test_a_wrong_budget_is_one_line_and_none_is_made(shell, tenant, words, said):
    with pytest.raises(CommandError, match=said) as caught:
        budget(shell, *words)
    assert "\n" not in str(caught.value)
    assert not Budget.objects.exists()


def test_a_pairing_code_is_printed_once_and_works(shell, tenant):
    told = shell.json("wp_ai_tenant", "pair", "blog")
    assert set(told) == {"tenant", "code", "expires_at"}
    assert timedelta(minutes=9) < datetime.fromisoformat(told["expires_at"]) - timezone.now() <= timedelta(minutes=10)
    for words in (["show", "blog"], ["list"]):
        assert told["code"] not in shell.run("wp_ai_tenant", *words, "--json")
    assert pairing.redeem(told["code"], site_url="https://blog.example.org").tenant == tenant


def test_a_pairing_code_is_explained_to_people(shell, tenant):
    assert "works once" in shell.run("wp_ai_tenant", "pair", "blog")


@pytest.mark.parametrize(("slug", "said"), [("nobody", "no tenant"), ("blog", "deactivated")])
def test_no_code_is_made_for_a_tenant_that_is_unknown_or_off(shell, tenant, slug, said):
    shell.run("wp_ai_tenant", "deactivate", "blog")
    with pytest.raises(CommandError, match=said):
        shell.run("wp_ai_tenant", "pair", slug)
    assert not PairingCode.objects.exists()
