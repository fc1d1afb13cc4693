from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_wp_ai.admin.spend import spend_since, with_month_to_date
from django_wp_ai.models import BudgetPeriod, Credential, Tenant
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue, issue_site_keys
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/tenant/"
ADD = "/admin/django_wp_ai/tenant/add/"
FORM = {
    "slug": "blog",
    "timezone": "UTC",
    "is_active": "on",
    "digest": "off",
    "cache_mode": "opt_in",
    "cache_ttl_s": "3600",
    "cache_per_end_user": "on",
    "conversation_tokens": "4000",
    "conversation_days": "30",
    "job_days": "30",
    "job_retention": "delete",
    "moderation": "off",
}
INLINE = {
    "credentials-TOTAL_FORMS": "0",
    "credentials-INITIAL_FORMS": "0",
    "budgets-TOTAL_FORMS": "0",
    "budgets-INITIAL_FORMS": "0",
}


def change_url(tenant: Tenant) -> str:
    return reverse("admin:django_wp_ai_tenant_change", args=[tenant.pk])


def test_adding_a_tenant_shows_its_first_keys_once(admin_client):
    page = admin_client.post(ADD, FORM)
    tenant = Tenant.objects.get(slug="blog")
    text = page.content.decode()
    made = {credential.kind: credential for credential in tenant.credentials.all()}
    assert set(made) == {"hmac", "jwt", "api_key", "callback"}
    for kind in ("hmac", "jwt", "callback"):
        assert secrets.decrypt(made[kind].secret_encrypted).replace("+", "&#x2B;") in text.replace("+", "&#x2B;")
    assert f"wpai_{made['api_key'].key_id}_" in text
    assert "no-store" in page["Cache-Control"]
    again = admin_client.get(change_url(tenant)).content.decode()
    assert secrets.decrypt(made["hmac"].secret_encrypted) not in again


def test_no_secret_of_a_new_tenant_stays_in_log_session_or_cookie(admin_client):
    admin_client.post(ADD, FORM)
    kept = repr([*LogEntry.objects.values_list("change_message", "object_repr")])
    kept += repr(dict(admin_client.session)) + str(admin_client.cookies)
    for credential in Credential.objects.exclude(secret_encrypted=""):
        assert secrets.decrypt(credential.secret_encrypted) not in kept


def test_a_person_who_may_not_make_credentials_adds_a_tenant_without_keys(log_in):
    page = log_in("add_tenant", "view_tenant").post(ADD, FORM, follow=True)
    assert "No keys were made" in page.content.decode()
    assert Tenant.objects.filter(slug="blog").exists()
    assert not Credential.objects.exists()


def test_no_tenant_is_made_when_its_keys_can_not_be(admin_client, settings):
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": ["no fernet key"]}
    admin_client.raise_request_exception = False
    assert admin_client.post(ADD, FORM).status_code == 500
    assert not Tenant.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("slug", "not a slug", "valid “slug”"),
        ("slug", "", "required"),
        ("site_url", "ftp://example.org", "must begin with http"),
        ("timezone", "Mars/Base", "not a time zone"),
        ("origins", "https://a.example.org\n*", "a wildcard is not an origin"),
        ("budget_day_usd", "-1", "greater than or equal to 0"),
        ("budget_month_usd", "NaN", "Enter a number"),
        ("rpm", "1.5", "whole number"),
    ],
)
def test_a_wrong_field_is_told_beside_it_and_nothing_is_made(admin_client, field, value, said):
    page = admin_client.post(ADD, {**FORM, field: value})
    assert said in page.content.decode()
    assert field in page.context["adminform"].form.errors
    assert not Tenant.objects.exists()


def test_lists_are_written_one_entry_per_line(admin_client):
    admin_client.post(
        ADD, {**FORM, "origins": " https://a.example.org \r\n\r\nhttps://b.example.org\nhttps://b.example.org"}
    )
    tenant = Tenant.objects.get()
    assert tenant.origins == ["https://a.example.org", "https://b.example.org"]
    assert (
        "https://a.example.org\nhttps://b.example.org</textarea>"
        in admin_client.get(change_url(tenant)).content.decode()
    )


def test_a_change_is_saved_and_the_slug_stays(admin_client):
    tenant = TenantFactory(slug="blog")
    issue(tenant, kind="jwt")
    inline = {**INLINE, "credentials-TOTAL_FORMS": "1", "credentials-INITIAL_FORMS": "1"}
    page = admin_client.post(
        change_url(tenant), {**FORM, **inline, "slug": "other", "name": "New", "budget_month_usd": "5"}
    )
    tenant.refresh_from_db()
    assert page.status_code == 302
    assert (tenant.slug, tenant.name, tenant.budget_month_usd) == ("blog", "New", Decimal(5))


def test_the_change_page_shows_credentials_as_rows_with_their_state(admin_client):
    tenant = TenantFactory()
    keys = issue_site_keys(tenant)
    keys.hmac.credential.revoke()
    text = admin_client.get(change_url(tenant)).content.decode()
    for issued in (keys.hmac, keys.jwt, keys.api_key, keys.callback):
        assert issued.credential.key_id in text
        assert issued.secret not in text
    assert 'wpai-bad">revoked<' in text
    assert text.count('wpai-good">live<') == 3
    assert reverse("admin:django_wp_ai_tenant_make_credential", args=[tenant.pk]) in text


def test_live_keys_of_a_deactivated_tenant_are_not_called_live(admin_client):
    tenant = TenantFactory(is_active=False)
    issue(tenant, kind="jwt")
    text = admin_client.get(change_url(tenant)).content.decode()
    assert "tenant inactive" in text
    assert ">live<" not in text


def test_the_change_page_shows_what_was_spent_today_and_this_month(admin_client, used):
    tenant = TenantFactory(budget_month_usd=Decimal(10))
    used(tenant, cost_usd=Decimal("2.5"))
    used(tenant, cost_usd=None)
    used(tenant, cost_usd=Decimal(100), at=timezone.now() - timezone.timedelta(days=40))
    text = admin_client.get(change_url(tenant)).content.decode()
    assert "$2.50 of $10.00" in text
    assert "2 calls, 1 of them with unknown price" in text


def test_the_list_shows_spend_budget_and_unknown_prices(admin_client, used):
    tenant = TenantFactory(budget_month_usd=Decimal(4))
    TenantFactory(budget_month_usd=None, site_url="")
    TenantFactory(budget_month_usd=0)
    used(tenant, cost_usd=Decimal("3.5"))
    used(tenant, cost_usd=None)
    used(tenant, pending=True)
    text = admin_client.get(LIST).content.decode()
    assert "$3.50 of $4.00" in text
    assert 'wpai-bar-wait" max="100" value="87"' in text
    assert "1 unknown" in text
    assert "$0.00 of $0.00" in text


def test_a_budget_that_is_used_up_fills_its_bar_and_no_more(admin_client, used):
    used(TenantFactory(budget_month_usd=Decimal(1)), cost_usd=Decimal(3))
    assert 'wpai-bar-bad" max="100" value="100" title="300%"' in admin_client.get(LIST).content.decode()


def test_a_budget_counts_what_the_tenants_below_spend(admin_client, used):
    agency = TenantFactory(slug="agency", budget_day_usd=Decimal(5), budget_month_usd=Decimal(10))
    used(TenantFactory(parent=agency), cost_usd=Decimal(4))
    for kind, start in (("day", agency.start_of_day()), ("month", agency.start_of_month())):
        BudgetPeriod.objects.create(tenant=agency, kind=kind, starts_at=start, spent_usd=Decimal(4))
    assert "$4.00 of $10.00" in admin_client.get(LIST).content.decode()
    page = admin_client.get(change_url(agency)).content.decode()
    assert "$4.00 of $5.00" in page
    assert "$4.00 of $10.00" in page


def test_the_list_asks_the_database_as_often_for_one_tenant_as_for_twenty(admin_client, used):
    used(TenantFactory(parent=TenantFactory()), cost_usd=1)
    with CaptureQueriesContext(
        connection,
    ) as few:
        admin_client.get(LIST)
    for _ in range(20):
        tenant = TenantFactory(parent=TenantFactory())
        used(tenant, cost_usd=1)
        issue(tenant, kind="jwt")
    with CaptureQueriesContext(connection) as many:
        admin_client.get(LIST)
    assert len(many) == len(few)


def test_the_change_page_asks_as_often_for_one_credential_as_for_twenty(admin_client):
    tenant = TenantFactory()
    issue(tenant, kind="jwt")
    admin_client.get(change_url(tenant))  # fills the content type cache
    with CaptureQueriesContext(connection) as few:
        admin_client.get(change_url(tenant))
    for _ in range(20):
        issue(tenant, kind="jwt")
    with CaptureQueriesContext(connection) as many:
        admin_client.get(change_url(tenant))
    assert len(many) == len(few)


def test_the_list_can_be_sorted_by_spend_and_share_of_budget(admin_client, used):
    used(TenantFactory(slug="small", budget_month_usd=Decimal(1)), cost_usd=Decimal("0.9"))
    used(TenantFactory(slug="large", budget_month_usd=Decimal(100)), cost_usd=Decimal(9))
    by_share = admin_client.get(LIST, {"o": "-2"}).context["cl"].result_list
    by_spend = admin_client.get(LIST, {"o": "-3"}).context["cl"].result_list
    assert [tenant.slug for tenant in by_share] == ["small", "large"]
    assert [tenant.slug for tenant in by_spend] == ["large", "small"]


def test_the_month_begins_in_each_tenants_own_time_zone(used):
    east = TenantFactory(timezone="Pacific/Kiritimati")
    west = TenantFactory(timezone="Pacific/Pago_Pago")
    for tenant in (east, west):
        used(tenant, cost_usd=Decimal(1), at=tenant.start_of_month() - timezone.timedelta(seconds=1))
        used(tenant, cost_usd=Decimal(2), at=tenant.start_of_month())
    assert {tenant.month_spend for tenant in with_month_to_date(Tenant.objects.all())} == {Decimal(2)}
    assert spend_since(east, east.start_of_month()).cost_usd == Decimal(2)
    assert east.start_of_month(datetime(2026, 5, 20, tzinfo=UTC)) < west.start_of_month(
        datetime(2026, 5, 20, tzinfo=UTC)
    )


def test_search_and_filters_find_tenants(admin_client):
    parent = TenantFactory(slug="agency")
    TenantFactory(slug="below", parent=parent)
    TenantFactory(slug="off", is_active=False)

    def found(**query: str) -> list[str]:
        return [tenant.slug for tenant in admin_client.get(LIST, query).context["cl"].result_list]

    assert found(q="agency") == ["agency"]
    assert found(is_active__exact="0") == ["off"]
    assert found(parent__id__exact=str(parent.pk)) == ["below"]


@pytest.mark.parametrize(
    "query",
    ["credentials__secret_hash__startswith=a", "system_prompt__startswith=a", "credentials__secret_encrypted__gt=a"],
)
def test_the_url_can_not_ask_for_columns_that_are_not_offered(admin_client, query):
    assert admin_client.get(f"{LIST}?{query}").status_code == 400


def test_a_viewer_sees_a_tenant_and_can_do_nothing(viewer):
    tenant = TenantFactory(name="Before")
    text = viewer.get(change_url(tenant)).content.decode()
    assert "Make a credential" not in text
    assert 'name="_save"' not in text
    assert viewer.post(change_url(tenant), {**FORM, **INLINE, "name": "After"}).status_code == 403
    assert viewer.get(ADD).status_code == 403
    assert viewer.post(ADD, FORM).status_code == 403
    tenant.refresh_from_db()
    assert tenant.name == "Before"
    assert Tenant.objects.count() == 1


def test_a_viewer_of_tenants_only_sees_neither_credentials_nor_the_way_to_usage(log_in):
    tenant = TenantFactory()
    credential = issue(tenant, kind="jwt").credential
    text = log_in("view_tenant").get(change_url(tenant)).content.decode()
    assert credential.key_id not in text
    assert "usageevent" not in text


def test_a_stranger_sees_no_tenant(client, log_in):
    tenant = TenantFactory(slug="hidden-tenant")
    assert "hidden-tenant" not in client.get(change_url(tenant), follow=True).content.decode()
    assert log_in().get(change_url(tenant)).status_code == 403


def test_a_tenant_can_not_be_deleted(admin_client):
    tenant = TenantFactory()
    assert admin_client.post(f"{LIST}{tenant.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Tenant.objects.filter(pk=tenant.pk).exists()


def test_the_change_page_lists_what_still_works_before_what_is_revoked(admin_client):
    tenant = TenantFactory()
    first = issue(tenant, kind="api_key").credential
    first.revoke()
    second = issue(tenant, kind="jwt").credential
    text = admin_client.get(change_url(tenant)).content.decode().partition("wpai-credentials")[2]
    assert text.index(second.key_id) < text.index(first.key_id)
