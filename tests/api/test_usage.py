"""``v1/usage``: figures by group, what remains of limits and budgets, as JSON and CSV."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai.models import Budget, Tenant, UsageEvent
from django_wp_ai.security.issue import issue, issue_site_keys
from tests.api.conftest import Site
from tests.api.refusals import check_shape
from tests.factories import TenantFactory
from tests.signing import fresh_claims, hs256

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


def used(tenant: Tenant, at: datetime = NOON, **fields: Any) -> None:
    defaults = {"route": "chat", "provider": "openai", "model": "gpt-4o-mini", "state": "settled", "settled_at": at}
    UsageEvent.objects.create(tenant=tenant, created_at=at, **{**defaults, **fields})


def ask(site: Site, **query: str) -> Any:
    return site.get(f"v1/usage?{urlencode(query)}")


def figures(site: Site, **query: str) -> dict[str, Any]:
    response = ask(site, **{"from": "2026-03-01", "to": "2026-03-31", **query})
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


def test_totals_count_what_is_known_and_what_is_not(site: Site) -> None:
    used(site.tenant, input_tokens=100, output_tokens=20, cached_input_tokens=30, cost_usd=Decimal("0.25"))
    used(site.tenant, input_tokens=1, cost_usd=None, estimated=True, error_code="provider_timeout")
    used(site.tenant, cached=True, cost_usd=Decimal(0))
    used(site.tenant, state="pending", settled_at=None)
    assert figures(site)["totals"] == {
        "calls": 4,
        "pending": 1,
        "errors": 1,
        "cache_hits": 1,
        "estimated": 1,
        "input_tokens": 101,
        "output_tokens": 20,
        "cached_input_tokens": 30,
        "cost_usd": 0.25,
        "unknown_price": 1,
    }


def test_a_site_that_used_nothing_is_told_so(site: Site) -> None:
    body = figures(site, group_by="day")
    assert body["groups"] == []
    assert body["totals"]["calls"] == 0
    assert body["totals"]["cost_usd"] == 0


def test_a_real_call_is_in_the_report_of_today(site: Site) -> None:
    assert site.post("v1/chat", {"prompt": "Hi", "metadata": {"plugin": "forms", "end_user": "7"}}).status_code == 200
    body = ask(site, group_by="end_user,plugin,route,provider,model,day").json()
    [row] = site.usage()
    [group] = body["groups"]
    assert list(group)[:6] == ["end_user", "plugin", "route", "provider", "model", "day"]
    assert (group["end_user"], group["plugin"], group["route"]) == ("7", "forms", "chat")
    assert (group["provider"], group["model"]) == ("openai", "gpt-4o-mini")
    assert group["day"] == str(row.created_at.date())
    assert group["cost_usd"] == float(row.cost_usd or 0) > 0
    assert body["totals"]["input_tokens"] == row.input_tokens > 0


@pytest.mark.parametrize("group_by", ["model", "model,end_user", "end_user,model", "plugin, day", "day,route,provider"])
def test_groups_add_up_to_the_totals(site: Site, group_by: str) -> None:
    for index in range(12):
        used(
            site.tenant,
            NOON + timedelta(days=index % 3),
            model=f"m{index % 2}",
            end_user=str(index % 3),
            plugin=f"p{index % 2}",
            input_tokens=index,
            cost_usd=Decimal(index) / 1000,
        )
    body = figures(site, group_by=group_by)
    assert body["group_by"] == [name.strip() for name in group_by.split(",")]
    for name, total in body["totals"].items():
        assert sum(group[name] for group in body["groups"]) == pytest.approx(total)
    keys = [tuple(group[name] for name in body["group_by"]) for group in body["groups"]]
    assert keys == sorted(set(keys))


def test_the_ledger_is_asked_once_whatever_the_grouping(site: Site) -> None:
    used(site.tenant)
    for query in ({}, {"group_by": "day,model,end_user,plugin,route,provider"}, {"format": "csv", "group_by": "day"}):
        with CaptureQueriesContext(connection) as queries:
            assert ask(site, **query).status_code == 200
        assert len([one for one in queries if 'FROM "django_wp_ai_usageevent"' in one["sql"]]) == 1


def test_days_are_those_of_the_tenants_time_zone(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(timezone="Pacific/Auckland")
    used(site.tenant, datetime(2026, 3, 10, 10, 59, tzinfo=UTC))  # 23:59 there
    used(site.tenant, datetime(2026, 3, 10, 11, 1, tzinfo=UTC))
    body = figures(site, group_by="day")
    assert [(group["day"], group["calls"]) for group in body["groups"]] == [("2026-03-10", 1), ("2026-03-11", 1)]
    assert body["timezone"] == "Pacific/Auckland"
    assert body["from"] == "2026-03-01T00:00:00+13:00"
    assert body["to"] == "2026-04-01T00:00:00+13:00"
    assert figures(site, **{"from": "2026-03-11", "to": "2026-03-11"})["totals"]["calls"] == 1


@pytest.mark.parametrize(
    ("start", "end", "calls"),
    [
        ("2026-03-10", "2026-03-10", 1),
        ("2026-03-10T12:00:00Z", "2026-03-10T12:00:01Z", 1),
        ("2026-03-10T11:00:00Z", "2026-03-10T12:00:00Z", 0),
        ("2026-03-10T12:00:00.000001Z", "2026-03-11", 0),
        ("2026-03-10T13:00:00+01:00", "2026-03-10T13:00:01+01:00", 1),
        ("2026-03-10T13:30:00+01:00", "2026-03-11", 0),
        ("2026-03-10t12:00:00z", "2026-03-11", 1),
        ("2026-03-10T12:00:00", "2026-03-11", 1),
        ("2026-03-11", "2026-03-12", 0),
    ],
)
def test_a_date_is_the_whole_day_and_an_instant_ends_before_itself(
    site: Site, start: str, end: str, calls: int
) -> None:
    used(site.tenant)
    assert figures(site, **{"from": start, "to": end})["totals"]["calls"] == calls


def test_an_offset_whose_plus_the_query_string_lost_is_understood(site: Site) -> None:
    used(site.tenant)
    response = site.get("v1/usage?from=2026-03-10T13:00:00+01:00&to=2026-03-10T13:00:01+01:00")
    assert response.json()["totals"]["calls"] == 1


def test_without_a_time_it_is_the_tenants_month_so_far(site: Site) -> None:
    now = timezone.now()
    used(site.tenant, now)
    used(site.tenant, site.tenant.start_of_month() - timedelta(seconds=1))
    body = ask(site).json()
    assert body["totals"]["calls"] == 1
    assert body["from"] == site.tenant.start_of_month().isoformat()
    assert ask(site, to="2026-03-31").json()["from"] == "2026-03-01T00:00:00+00:00"


BAD = [
    ({"from": "yesterday"}, "from"),
    ({"from": "2026-02-30"}, "from"),
    ({"from": "2026-3-1"}, "from"),
    ({"from": "20260301"}, "from"),
    ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
    ({"from": "2026-03-01T25:00:00Z"}, "from"),
    ({"from": "٢٠٢٦-٠٣-٠١"}, "from"),
    ({"from": "x" * 41}, "from"),
    ({"to": "9999-12-31"}, "to"),
    ({"to": "never"}, "to"),
    ({"from": "2026-03-02", "to": "2026-03-01"}, "to"),
    ({"from": "2026-03-01T00:00:00Z", "to": "2026-03-01T00:00:00Z"}, "to"),
    ({"from": "2024-01-01", "to": "2026-01-01"}, "to"),
    ({"group_by": "tenant"}, "group_by"),
    ({"group_by": "day,,model"}, "group_by"),
    ({"group_by": "day,day"}, "group_by"),
    ({"group_by": "credential__secret_hash"}, "group_by"),
    ({"format": "xml"}, "format"),
    ({"form": "csv"}, "form"),
]


@pytest.mark.parametrize(("query", "field"), BAD)
def test_a_bad_parameter_is_named(site: Site, query: dict[str, str], field: str) -> None:
    problem = check_shape(ask(site, **query), "v1/usage", 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == [field]
    assert problem["errors"][0]["message"]


def test_a_parameter_given_twice_is_refused(site: Site) -> None:
    problem = check_shape(site.get("v1/usage?group_by=day&group_by=model"), "v1/usage", 422, "invalid")
    assert problem["errors"][0]["field"] == "group_by"


def test_four_hundred_days_are_the_most(site: Site) -> None:
    assert ask(site, **{"from": "2025-01-01", "to": "2026-02-04"}).status_code == 200
    assert ask(site, **{"from": "2025-01-01", "to": "2026-02-05"}).status_code == 422


def test_too_many_groups_are_refused_and_not_cut_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django_wp_ai.gateway.usage_report.MAX_ROWS", 3)
    for index in range(4):
        used(site.tenant, end_user=str(index))
    problem = check_shape(
        ask(site, **{"from": "2026-03-01", "to": "2026-03-31", "group_by": "end_user"}), "v1/usage", 422, "invalid"
    )
    assert "more than 3 groups" in problem["detail"]
    assert figures(site)["totals"]["calls"] == 4


def test_one_site_sees_nothing_of_another(site: Site) -> None:
    other = TenantFactory.create(parent=site.tenant)
    used(other, cost_usd=Decimal(5), end_user="theirs")
    body = figures(site, group_by="end_user")
    assert body["groups"] == []
    assert "theirs" not in str(body)


def test_the_scope_is_needed(site: Site) -> None:
    key = issue(site.tenant, kind="api_key", scopes=["chat"]).secret
    response = site.get("v1/usage", headers={"Authorization": f"Bearer {key}"})
    assert "usage" in check_shape(response, "v1/usage", 403, "forbidden")["detail"]
    check_shape(site.get("v1/usage", headers={}), "v1/usage", 401, "unauthenticated")


def test_a_proof_that_names_an_end_user_shows_that_users_part(site: Site) -> None:
    Budget.objects.create(tenant=site.tenant, applies_to="end_user", name="8", period="day", amount_usd=1)
    used(site.tenant, end_user="7", input_tokens=5)
    used(site.tenant, end_user="8", input_tokens=50)
    claims = fresh_claims(sub="7")
    token = hs256(site.keys.jwt.secret, claims, kid=site.keys.jwt.credential.key_id)
    query = urlencode({"from": "2026-03-01", "to": "2026-03-31", "group_by": "end_user"})
    body = site.get(f"v1/usage?{query}", headers={"Authorization": f"Bearer {token}"}).json()
    assert [group["end_user"] for group in body["groups"]] == ["7"]
    assert body["totals"]["input_tokens"] == 5
    assert body["budgets"] == []


def test_two_sites_in_one_time_see_their_own(site: Site) -> None:
    tenant = TenantFactory.create()
    other = Site(tenant, issue_site_keys(tenant), Client())
    used(site.tenant, input_tokens=1)
    used(tenant, input_tokens=10)
    assert figures(site)["totals"]["input_tokens"] == 1
    assert figures(other)["totals"]["input_tokens"] == 10
