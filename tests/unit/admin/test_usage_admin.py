from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai.admin.usage import totals
from django_wp_ai.models import UsageEvent
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/usageevent/"


@pytest.fixture
def tenant():
    return TenantFactory(slug="blog")


@pytest.fixture
def rows(tenant, used):
    """Five calls of every sort."""
    used(tenant, cost_usd=Decimal("0.0123"), input_tokens=1000, output_tokens=200, latency_ms=950, finish_reason="stop")
    used(tenant, cost_usd=Decimal("1.5"), input_tokens=2000, output_tokens=300, latency_ms=2500, estimated=True)
    used(tenant, cost_usd=None, input_tokens=10, output_tokens=5, provider="house", model="own", route="messages")
    used(tenant, cost_usd=Decimal(0), cached=True, end_user="7", request_id="req-7")
    used(tenant, cost_usd=Decimal(0), error_code="provider_timeout")
    used(tenant, pending=True)
    return UsageEvent.objects.all()


def found(client, **query):
    return client.get(LIST, query).context["cl"].queryset


def test_totals_are_those_of_the_filtered_rows_in_one_query(rows, tenant, used, django_assert_num_queries):
    used(TenantFactory(), cost_usd=Decimal(99))
    with django_assert_num_queries(1):
        sums = totals(UsageEvent.objects.for_tenant(tenant))
    assert sums == {
        "calls": 6,
        "tokens_in": 3010,
        "tokens_out": 505,
        "cost": Decimal("1.5123"),
        "unknown_price": 1,
        "cache_hits": 1,
        "errors": 1,
    }


def test_totals_of_nothing_are_zero(admin_client):
    assert totals(UsageEvent.objects.all())["cost"] == Decimal(0)
    assert "$0.00" in admin_client.get(LIST).content.decode()


def test_the_totals_follow_the_filter_and_cover_all_pages(admin_client, tenant, used):
    for _ in range(60):
        used(tenant, cost_usd=Decimal("0.5"), input_tokens=10)
    used(TenantFactory(), cost_usd=Decimal(99))
    page = admin_client.get(LIST, {"tenant__id__exact": tenant.pk})
    assert dict(page.context["totals"])["Calls"] == "60"
    assert dict(page.context["totals"])["Cost (known prices)"] == "$30.00"
    assert dict(page.context["totals"])["Input tokens"] == "600"
    assert "wpai-totals" in page.content.decode()


def test_an_unknown_price_is_said_to_be_unknown_and_never_zero(admin_client, tenant, used):
    used(tenant, cost_usd=None)
    text = admin_client.get(LIST).content.decode()
    cell = text.partition('class="field-cost"')[2].partition("</td>")[0]
    assert "unknown" in cell
    assert "$" not in cell


def test_columns_show_money_tokens_latency_and_outcome(admin_client, rows):
    text = admin_client.get(LIST).content.decode()
    for shown in ("$0.0123", "~$1.50", "1,000 / 200", "950 ms", "2.5 s", "provider_timeout", "from cache", "pending"):
        assert shown in text


@pytest.mark.parametrize(
    ("query", "number"),
    [
        ({"provider": "house"}, 1),
        ({"model": "own"}, 1),
        ({"route": "messages"}, 1),
        ({"state__exact": "pending"}, 1),
        ({"cached__exact": "1"}, 1),
        ({"estimated__exact": "1"}, 1),
        ({"error_code": "*"}, 1),
        ({"error_code": "-"}, 5),
        ({"error_code": "provider_timeout"}, 1),
        ({"price": "unknown"}, 1),
        ({"price": "known"}, 4),
        ({"price": "nonsense"}, 6),
        ({"q": "req-7"}, 1),
        ({"q": "7"}, 1),
        ({"q": "no-such-request"}, 0),
    ],
)
def test_filters_and_search_narrow_the_list(admin_client, rows, query, number):
    assert found(admin_client, **query).count() == number


def test_a_call_is_found_by_its_id(admin_client, rows):
    event = rows[0]
    assert list(found(admin_client, q=str(event.call_id))) == [event]


def test_filters_offer_recent_values_and_keep_an_older_chosen_one(admin_client, tenant, used):
    used(tenant, model="new-model")
    used(tenant, model="old-model", at=timezone.now() - timedelta(days=200))
    assert "?model=new-model" in admin_client.get(LIST).content.decode()
    assert "?model=old-model" not in admin_client.get(LIST).content.decode()
    assert found(admin_client, model="old-model").count() == 1
    assert "old-model" in admin_client.get(LIST, {"model": "old-model"}).content.decode()


def test_a_wrong_filter_value_is_no_error(admin_client, rows):
    for query in ("cached__exact=x", "state__exact=x", "tenant__id__exact=x", "created_at__year=x", "p=x"):
        assert admin_client.get(f"{LIST}?{query}").status_code in (200, 302, 400)


@pytest.mark.parametrize("lookup", ["credential__secret_hash__startswith", "tenant__credentials__secret_hash__gt"])
def test_the_url_can_not_reach_a_secret_through_a_usage_row(admin_client, rows, lookup):
    assert admin_client.get(LIST, {lookup: "a"}).status_code == 400


def test_the_list_asks_as_often_for_one_row_as_for_twenty(admin_client, tenant, used):
    used(tenant)
    admin_client.get(LIST)  # fills the content type cache
    with CaptureQueriesContext(connection) as few:
        admin_client.get(LIST)
    for _ in range(20):
        used(TenantFactory())
    with CaptureQueriesContext(connection) as many:
        admin_client.get(LIST)
    assert len(many) == len(few)


def test_the_ledger_is_read_only_even_for_a_superuser(admin_client, rows):
    event = rows[0]
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.post(f"{LIST}{event.pk}/change/", {"cost_usd": "0"}).status_code == 403
    text = admin_client.get(f"{LIST}{event.pk}/change/").content.decode()
    assert 'name="_save"' not in text
    assert str(event.call_id) in text
    assert UsageEvent.objects.count() == 6


def test_only_who_may_view_usage_sees_it(client, log_in, viewer, rows):
    assert viewer.get(LIST).status_code == 200
    assert log_in("view_tenant").get(LIST).status_code == 403
    assert "/login/" in client.get(LIST)["Location"]
