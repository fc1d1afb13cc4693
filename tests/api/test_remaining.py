"""What remains of limits and budgets, as ``v1/usage`` tells it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai.models import Budget, Tenant
from tests.api.conftest import Site
from tests.api.test_usage import ask, used
from tests.factories import TenantFactory


def test_what_remains_of_limits_is_told_and_asking_takes_nothing(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(
        rpm=5, rpd=100, tpm=100_000, max_streams=3, ip_rpm=9, routes={"chat": {"rpm": 2}, "messages": {"rpd": 4}}
    )
    assert site.post("v1/chat", {"prompt": "Hi"}).status_code == 200
    for _ in range(3):
        left = ask(site).json()["limits"]
    found = {(one["name"], one["route"]): (one["quota"], one["remaining"]) for one in left}
    assert found["rpm", ""] == (5, 4)
    assert found["rpd", ""] == (100, 99)
    assert found["route-rpm", "chat"] == (2, 1)
    assert found["route-rpd", "messages"] == (4, 4)
    assert found["streams", ""] == (3, 3)
    assert 90_000 < found["tpm", ""][1] < 100_000
    assert set(found) == {
        *((name, "") for name in ("rpm", "rpd", "tpm", "streams")),
        ("route-rpm", "chat"),
        ("route-rpd", "messages"),
    }
    assert 0 < next(one for one in left if one["name"] == "rpm")["reset_s"] <= 60
    assert site.post("v1/chat", {"prompt": "Hi"})["RateLimit"].startswith('"rpm";r=3;')


def test_the_same_is_told_from_the_database_where_there_is_no_shared_cache(site: Site, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    Tenant.objects.filter(pk=site.tenant.pk).update(rpm=5, rpd=8, max_streams=3)
    assert {one["remaining"] for one in ask(site).json()["limits"]} == {5, 8, 3}
    assert site.post("v1/chat", {"prompt": "Hi"}).status_code == 200
    left = {one["name"]: one["remaining"] for one in ask(site).json()["limits"]}
    assert left == {"rpm": 4, "rpd": 7, "streams": 3}


def test_what_remains_of_every_budget_is_told(site: Site) -> None:
    parent = TenantFactory.create(slug="the-agency", name="The Agency", budget_month_usd=Decimal(50))
    Tenant.objects.filter(pk=site.tenant.pk).update(
        budget_day_usd=Decimal(5), soft_budget_day_usd=Decimal(4), budget_month_usd=Decimal(20), parent=parent
    )
    for fields in (
        {"applies_to": "end_user", "name": "7", "period": "day", "amount_usd": Decimal(1)},
        {"applies_to": "end_user", "name": "", "period": "day", "amount_usd": Decimal(2)},
        {"applies_to": "model", "name": "gpt-*", "period": "month", "amount_usd": Decimal(3), "is_hard": False},
    ):
        Budget.objects.create(tenant=site.tenant, **fields)
    Budget.objects.create(tenant=parent, applies_to="model", name="", period="day", amount_usd=Decimal(9))
    for user in ("7", "8"):
        response = site.post(
            "v1/chat", {"prompt": "Hi [[usage=100,1000]]", "max_tokens": 1000, "metadata": {"end_user": user}}
        )
        assert response.status_code == 200, response.content
    cost = sum(float(row.cost_usd or 0) for row in site.usage())
    body = ask(site).json()
    left = {
        (one["above"], one["applies_to"], one["name"], one["period"], one["is_hard"]): one for one in body["budgets"]
    }
    assert {key: one["remaining_usd"] for key, one in left.items()} == pytest.approx(
        {
            (False, "", "", "day", True): 5 - cost,
            (False, "", "", "day", False): 4 - cost,
            (False, "", "", "month", True): 20 - cost,
            (True, "", "", "month", True): 50 - cost,
            (False, "end_user", "7", "day", True): 1 - cost / 2,
            (False, "end_user", "8", "day", True): 2 - cost / 2,
            (False, "end_user", "", "day", True): 2,
            (False, "model", "gpt-*", "month", False): 3 - cost,
            (True, "model", "openai:gpt-4o-mini", "day", True): 9 - cost,
            (True, "model", "", "day", True): 9,
        }
    )
    own = left[False, "", "", "day", True]
    assert (own["budget_usd"], own["spent_usd"], own["reserved_usd"]) == (5, pytest.approx(cost), 0)
    assert own["starts_at"] == site.tenant.start_of_day().isoformat()
    assert datetime.fromisoformat(own["ends_at"]) - datetime.fromisoformat(own["starts_at"]) == timedelta(days=1)
    above = left[True, "", "", "month", True]
    assert (above["budget_usd"], above["spent_usd"], above["reserved_usd"]) == (None, None, None)
    assert "agency" not in str(body).lower()


def test_a_budget_set_today_begins_with_what_was_spent_before(site: Site) -> None:
    used(site.tenant, timezone.now(), end_user="7", cost_usd=Decimal("0.75"))
    Budget.objects.create(tenant=site.tenant, applies_to="end_user", name="7", period="month", amount_usd=Decimal(1))
    Tenant.objects.filter(pk=site.tenant.pk).update(budget_month_usd=Decimal("0.5"))
    left = {one["applies_to"]: one["remaining_usd"] for one in ask(site).json()["budgets"]}
    assert left == {"": 0, "end_user": 0.25}


def test_a_site_without_limits_and_budgets_is_told_of_none(site: Site) -> None:
    body = ask(site).json()
    assert (body["limits"], body["budgets"]) == ([], [])
