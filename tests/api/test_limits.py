"""Rates and budgets as a caller meets them: refused before anything is sent, and at no cost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.models import BudgetPeriod, Tenant
from tests.api.conftest import Site, body_of
from tests.api.refusals import BODIES, check_shape, row_counts
from tests.factories import TenantFactory
from tests.vendor.running import RunningVendor

CALLS = [path for path in BODIES if path != "v1/stream-tokens"]
PRICE = Decimal("0.60") / 1_000_000  # a token of gpt-4o-mini's output


def limit(site: Site, **fields: Any) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(**fields)


def call(site: Site, path: str, **fields: Any) -> Any:
    response = site.post(path, {**BODIES[path], **fields})
    if response.streaming:
        body_of(response)
    return response


@pytest.mark.parametrize("path", CALLS)
def test_beyond_the_rate_a_call_waits_and_is_told_how_long(site: Site, vendor: RunningVendor, path: str) -> None:
    limit(site, rpm=1)
    first = call(site, path)
    assert first["RateLimit-Policy"] == '"rpm";q=1;w=60'
    assert first["RateLimit"].startswith('"rpm";r=0;t=')
    before = row_counts()
    second = call(site, path)

    check_shape(second, path, 429, "rate_limited")
    assert 1 <= int(second["Retry-After"]) <= 60
    assert second["RateLimit-Policy"] == '"rpm";q=1;w=60'
    assert second["RateLimit"].startswith('"rpm";r=0;')
    assert row_counts() == before
    assert len(vendor.requests) == 1


def test_openais_shape_has_openais_headers_also_when_it_refuses(site: Site) -> None:
    limit(site, rpm=1, tpm=100_000)
    first, second = call(site, "v1/chat/completions"), call(site, "v1/chat/completions")

    for response in (first, second):
        assert response["x-ratelimit-limit-requests"] == "1"
        assert response["x-ratelimit-remaining-requests"] == "0"
        assert response["x-ratelimit-limit-tokens"] == "100000"
        assert response["x-ratelimit-reset-requests"]
    for path in ("v1/chat", "v1/messages"):
        assert not [name for name in call(site, path).headers if name.lower().startswith("x-ratelimit")]


def test_a_call_that_the_vendor_fails_tells_its_limits_too(site: Site) -> None:
    limit(site, rpm=5)
    for path in ("v1/chat", "v1/chat/stream"):
        assert "RateLimit" in site.post(path, {"prompt": "[[status=500]]"}).headers


def test_a_site_without_limits_is_told_of_none(site: Site) -> None:
    assert "RateLimit" not in call(site, "v1/chat").headers


def test_requests_of_a_day_and_tokens_of_a_minute_are_limited(site: Site) -> None:
    limit(site, rpd=1)
    call(site, "v1/chat")
    assert int(call(site, "v1/chat")["Retry-After"]) > 60
    limit(site, rpd=None, tpm=10)
    response = call(site, "v1/chat", max_tokens=100)
    problem = check_shape(response, "v1/chat", 429, "rate_limited")
    assert "alone" in problem["detail"]


def test_a_refused_call_takes_nothing_of_the_other_limits(site: Site) -> None:
    limit(site, rpm=2, tpm=50)
    assert call(site, "v1/chat", max_tokens=100).status_code == 429
    assert call(site, "v1/chat", max_tokens=10)["RateLimit"].startswith('"rpm";r=1;')


def test_tokens_that_were_not_used_come_back(site: Site) -> None:
    limit(site, tpm=160)
    for _ in range(3):  # each holds about 130 and uses about 10
        assert call(site, "v1/chat", max_tokens=100).status_code == 200


@pytest.mark.parametrize("path", CALLS)
@pytest.mark.parametrize("budget", ["budget_day_usd", "budget_month_usd"])
def test_a_call_that_the_budget_cannot_cover_is_refused_and_spends_nothing(
    site: Site, vendor: RunningVendor, path: str, budget: str
) -> None:
    limit(site, rpm=1, **{budget: Decimal("0.0001")})
    before = row_counts()
    dear: dict[str, Any] = {"input": "word " * 8000} if path == "v1/embeddings" else {"max_tokens": 100_000}
    check_shape(call(site, path, **dear), path, 402, "budget_exceeded")

    assert row_counts() == before
    assert not vendor.requests
    limit(site, **{budget: Decimal(1)})
    assert call(site, path).status_code == 200  # the rate was given back


def test_the_budget_of_a_parent_binds_its_sites(site: Site, vendor: RunningVendor) -> None:
    limit(site, parent=TenantFactory.create(budget_day_usd=Decimal("0.0001")))
    problem = check_shape(call(site, "v1/chat", max_tokens=100_000), "v1/chat", 402, "budget_exceeded")

    assert "above this site" in problem["detail"]
    assert not vendor.requests


def test_a_call_without_a_known_price_is_refused_under_a_budget(
    site: Site, vendor: RunningVendor, settings: Any
) -> None:
    local = {"class": "openai", "api_key": "k", "base_url": vendor.openai_url, "models": ["own"]}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {"local": local}, "MODEL_ALIASES": {}}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "DEFAULT_MODEL": "local:own"}
    limit(site, budget_day_usd=Decimal(1000))
    problem = check_shape(call(site, "v1/chat"), "v1/chat", 402, "budget_exceeded")

    assert "price" in problem["detail"]
    assert not vendor.requests


@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/stream"])
def test_what_a_call_cost_is_spent_and_nothing_stays_reserved(site: Site, path: str) -> None:
    parent = TenantFactory.create(budget_month_usd=Decimal(10))
    limit(site, budget_day_usd=Decimal(5), parent=parent)
    call(site, path, prompt="Hi [[usage=100,50]]")

    [row] = site.usage()
    assert row.cost_usd == (100 * Decimal("0.15") + 50 * Decimal("0.60")) / 1_000_000
    assert row.reserved_usd is not None
    assert row.reserved_usd >= row.cost_usd
    periods = list(BudgetPeriod.objects.all())
    assert {(period.tenant_id, period.kind) for period in periods} == {
        (tenant.pk, kind) for tenant in (site.tenant, parent) for kind in ("day", "month")
    }
    assert {(period.spent_usd, period.reserved_usd) for period in periods} == {(row.cost_usd, Decimal(0))}


@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/stream"])
def test_under_a_budget_the_vendor_is_told_where_to_stop(site: Site, vendor: RunningVendor, path: str) -> None:
    limit(site, budget_day_usd=Decimal(5))
    call(site, path)

    sent = vendor.last.body
    assert 4096 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert site.usage()[0].reserved_usd == pytest.approx(4096 * PRICE, rel=Decimal("0.01"))


def test_a_vendors_refusal_gives_the_reservation_back(site: Site) -> None:
    limit(site, budget_day_usd=Decimal(5))
    call(site, "v1/chat", prompt="[[status=400]]")

    assert {(period.spent_usd, period.reserved_usd) for period in BudgetPeriod.objects.all()} == {(0, 0)}


def test_a_budget_is_used_up_by_what_was_spent(site: Site) -> None:
    limit(site, budget_day_usd=Decimal("0.001"))
    assert call(site, "v1/chat", prompt="Hi [[usage=0,1600]]", max_tokens=1600).status_code == 200
    assert call(site, "v1/chat", max_tokens=1600).status_code == 402
    assert call(site, "v1/chat", max_tokens=10).status_code == 200
