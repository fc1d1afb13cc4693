"""What an operator sets for a site, on the tenant's page: saved, checked, told beside the field."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse
from django.utils import timezone

from django_wp_ai.models import Budget, BudgetAlert, BudgetPeriod, PairingCode, Tenant
from tests.factories import TenantFactory
from tests.unit.admin.test_tenant_admin import ADD, FORM, INLINE, LIST, change_url

pytestmark = pytest.mark.django_db

SETTINGS = {
    "callback_hosts": "blog.example.org\n10.0.0.8",
    "callback_url": "https://blog.example.org/hook",
    "rpm": "1",
    "rpd": "2",
    "tpm": "3",
    "end_user_rpm": "4",
    "end_user_rpd": "5",
    "ip_rpm": "6",
    "max_streams": "7",
    "routes": '{"chat": {"rpm": 8}}',
    "budget_day_usd": "9",
    "budget_month_usd": "10",
    "soft_budget_day_usd": "1.5",
    "soft_budget_month_usd": "2.5",
    "alert_emails": "a@example.org\nb@example.org",
    "alert_url": "https://alerts.example.org/",
    "digest": "weekly",
    "allowed_models": "gpt-4o-*",
    "denied_models": "o1*",
    "model_aliases": '{"quick": ["offline:offline-extractive"]}',
    "default_model": "quick",
    "default_max_tokens": "100",
    "max_tokens_limit": "200",
    "default_temperature": "0.5",
    "temperature_min": "0.25",
    "temperature_max": "0.75",
    "cache_mode": "deterministic",
    "cache_ttl_s": "60",
    "conversation_tokens": "500",
    "conversation_days": "5",
    "max_running_jobs": "7",
    "job_rpm": "60",
    "end_user_job_rpm": "6",
    "job_days": "14",
    "job_retention": "anonymise",
    "allowed_tools": "search_*",
    "redact_pii": "on",
    "redaction_locales": "de\nen-GB",
    "redaction_patterns": '{"order": "ORD-[0-9]{6}"}',
    "denied_terms": "two words\nx",
    "moderation": "local",
}
STORED = {
    **{name: int(value) for name, value in SETTINGS.items() if value.isdigit()},
    "callback_hosts": ["blog.example.org", "10.0.0.8"],
    "callback_url": "https://blog.example.org/hook",
    "routes": {"chat": {"rpm": 8}},
    "budget_day_usd": Decimal(9),
    "budget_month_usd": Decimal(10),
    "soft_budget_day_usd": Decimal("1.5"),
    "soft_budget_month_usd": Decimal("2.5"),
    "alert_emails": ["a@example.org", "b@example.org"],
    "alert_url": "https://alerts.example.org/",
    "digest": "weekly",
    "allowed_models": ["gpt-4o-*"],
    "denied_models": ["o1*"],
    "model_aliases": {"quick": ["offline:offline-extractive"]},
    "default_model": "quick",
    "default_temperature": 0.5,
    "temperature_min": 0.25,
    "temperature_max": 0.75,
    "cache_mode": "deterministic",
    "cache_per_end_user": False,
    "allowed_tools": ["search_*"],
    "redact_pii": True,
    "redaction_locales": ["de", "en-GB"],
    "redaction_patterns": {"order": "ORD-[0-9]{6}"},
    "denied_terms": ["two words", "x"],
    "moderation": "local",
}


def values(tenant):
    return {name: getattr(tenant, name) for name in STORED}


def form(**fields):
    return {name: value for name, value in {**FORM, **SETTINGS, **fields}.items() if name != "cache_per_end_user"}


def test_every_setting_is_saved_and_shown_again(admin_client):
    assert admin_client.post(ADD, form()).status_code == 200
    tenant = Tenant.objects.get(slug="blog")
    assert values(tenant) == STORED
    page = admin_client.get(change_url(tenant))
    shown = {name: page.context["adminform"].form[name].value() for name in STORED}
    sent = {name: "" if value is None else value for name, value in shown.items()}
    assert admin_client.post(change_url(tenant), {**form(), **INLINE, "name": "Again"}).status_code == 302
    tenant.refresh_from_db()
    assert (values(tenant), tenant.name) == (STORED, "Again")
    assert sent["routes"] == '{\n  "chat": {\n    "rpm": 8\n  }\n}'
    assert sent["alert_emails"] == "a@example.org\nb@example.org"


def test_every_setting_of_the_model_has_a_field(admin_client):
    page = admin_client.get(ADD)
    settable = {field.name for field in Tenant._meta.concrete_fields if field.editable and not field.auto_created}
    assert settable - set(page.context["adminform"].form.fields) == {"created_at", "updated_at"} & settable


def test_emptied_settings_are_those_of_a_new_tenant(admin_client):
    admin_client.post(ADD, form())
    tenant = Tenant.objects.get(slug="blog")
    empty = {name: "" for name in SETTINGS if name not in FORM}
    empty.pop("redact_pii")
    page = admin_client.post(change_url(tenant), {**FORM, **INLINE, **empty})
    assert page.status_code == 302, page.context["adminform"].form.errors
    tenant.refresh_from_db()
    assert values(tenant) == values(Tenant())


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("routes", "no json", "Enter a valid JSON"),
        ("routes", "[1]", "Give a JSON object"),
        ("routes", '{"nowhere": {}}', "nowhere"),
        ("routes", '{"chat": {"rpm": 0}}', "whole number"),
        ("model_aliases", '{"a": "no colon"}', "provider:model"),
        ("redaction_patterns", '{"a": "(a+)+"}', "The pattern"),
        ("redaction_patterns", "5", "Give a JSON object"),
        ("redaction_locales", "klingon", "locale"),
        ("alert_emails", "nobody", "not an e-mail address"),
        ("alert_url", "ftp://example.org", "must begin with http"),
        ("callback_url", "ftp://example.org", "must begin with http"),
        ("callback_hosts", "https://blog.example.org", "host names or addresses"),
        ("temperature_max", "0.1", "below the lowest"),
        ("default_temperature", "0.9", "outside"),
        ("temperature_max", "3", "less than or equal to 2"),
        ("cache_ttl_s", "0", "greater than or equal to 1"),
        ("max_streams", "-1", "greater than or equal to 0"),
        ("cache_mode", "always", "valid choice"),
        ("digest", "hourly", "valid choice"),
    ],
)
def test_a_wrong_setting_is_told_beside_its_field_and_nothing_is_made(admin_client, field, value, said):
    page = admin_client.post(ADD, form(**{field: value}))
    errors = page.context["adminform"].form.errors
    assert set(errors) == {field}
    assert said in str(errors[field])
    assert not Tenant.objects.exists()


def test_what_is_probably_not_meant_is_saved_with_a_warning(admin_client):
    tenant = TenantFactory(slug="blog")
    fields = {"model_aliases": '{"smart": "nobody:x"}', "soft_budget_day_usd": "99"}
    page = admin_client.post(change_url(tenant), {**form(**fields), **INLINE}, follow=True)
    tenant.refresh_from_db()
    assert tenant.model_aliases == {"smart": "nobody:x"}
    warned = [str(message) for message in page.context["messages"] if message.level_tag == "warning"]
    assert len(warned) == 2
    assert "nobody:x is of no configured provider" in warned[0]
    assert "never reached" in warned[1]


def test_a_viewer_changes_no_setting(viewer):
    tenant = TenantFactory(slug="blog")
    assert viewer.get(change_url(tenant)).status_code == 200
    assert viewer.post(change_url(tenant), {**form(), **INLINE}).status_code == 403


def budget_row(tenant, **fields):
    row = {"id": "", "tenant": tenant.pk, "applies_to": "end_user", "name": "7", "period": "day", "amount_usd": "1.5"}
    return {
        **FORM,
        **INLINE,
        "budgets-TOTAL_FORMS": "1",
        **{f"budgets-0-{name}": value for name, value in {**row, "is_hard": "on", **fields}.items()},
    }


def test_budgets_of_users_and_models_are_added_changed_and_removed_on_the_page(admin_client):
    tenant = TenantFactory(slug="blog")
    assert admin_client.post(change_url(tenant), budget_row(tenant)).status_code == 302
    [budget] = Budget.objects.for_tenant(tenant)
    assert (budget.applies_to, budget.name, budget.period, budget.amount_usd, budget.is_hard) == (
        *("end_user", "7", "day"),
        *(Decimal("1.5"), True),
    )
    known = {"budgets-INITIAL_FORMS": "1", "budgets-0-id": budget.pk}
    admin_client.post(change_url(tenant), {**budget_row(tenant, amount_usd="2"), **known})
    budget.refresh_from_db()
    assert budget.amount_usd == 2
    admin_client.post(change_url(tenant), {**budget_row(tenant), **known, "budgets-0-DELETE": "on"})
    assert not Budget.objects.exists()


@pytest.mark.parametrize(
    "fields", [{"amount_usd": "-1"}, {"amount_usd": "NaN"}, {"period": "week"}, {"applies_to": "x"}]
)
def test_a_wrong_budget_is_refused(admin_client, fields):
    tenant = TenantFactory(slug="blog")
    assert admin_client.post(change_url(tenant), budget_row(tenant, **fields)).status_code == 200
    assert not Budget.objects.exists()


def test_counters_of_single_users_are_not_taken_for_the_tenants(admin_client, used):
    tenant = TenantFactory(budget_day_usd=5, budget_month_usd=Decimal(10))
    used(tenant, cost_usd=Decimal(4))
    for kind, start in (("day", tenant.start_of_day()), ("month", tenant.start_of_month())):
        BudgetPeriod.objects.create(tenant=tenant, subject="end_user:7", kind=kind, starts_at=start, spent_usd=1)
        BudgetPeriod.objects.create(tenant=tenant, kind=kind, starts_at=start, spent_usd=4)
    assert "$4.00 of $10.00" in admin_client.get(LIST).content.decode()
    page = admin_client.get(change_url(tenant)).content.decode()
    assert "$4.00 of $5.00" in page
    assert "$4.00 of $10.00" in page


def test_budget_alerts_are_a_list_to_look_at(admin_client):
    alert = BudgetAlert.objects.create(
        tenant=TenantFactory(slug="blog"),
        subject="end_user:7",
        kind="day",
        starts_at=timezone.now(),
        level="near",
        budget_usd=Decimal(10),
        spent_usd=Decimal("8.5"),
    )
    BudgetAlert.objects.create(
        tenant=alert.tenant,
        kind="day",
        starts_at=alert.starts_at,
        level="soft",
        budget_usd=1,
        notified_at=timezone.now(),
    )
    page = admin_client.get("/admin/django_wp_ai/budgetalert/").content.decode()
    for text in ("end_user:7", "all calls", "$8.50", "$10.00", "not yet", ">yes<"):
        assert text in page
    assert "$8.50" in admin_client.get(f"/admin/django_wp_ai/budgetalert/{alert.pk}/change/").content.decode()
    assert admin_client.post(f"/admin/django_wp_ai/budgetalert/{alert.pk}/delete/", {"post": "yes"}).status_code == 403
    assert admin_client.get("/admin/django_wp_ai/budgetalert/add/").status_code == 403


def test_pairing_codes_are_listed_nowhere(admin_client):
    assert admin_client.get("/admin/django_wp_ai/pairingcode/").status_code == 404
    assert "airing codes" not in admin_client.get("/admin/").content.decode()


def code_url(tenant):
    return reverse("admin:django_wp_ai_tenant_pairing_code", args=[tenant.pk])


def test_a_pairing_code_is_made_by_a_post_and_shown_once(admin_client):
    tenant = TenantFactory(site_url="https://blog.example.org")
    assert code_url(tenant) in admin_client.get(change_url(tenant)).content.decode()
    assert "10 minutes" in admin_client.get(code_url(tenant)).content.decode()
    assert not PairingCode.objects.exists()
    page = admin_client.post(code_url(tenant))
    code = page.context["made"].code
    assert f"<code>{code}</code>" in page.content.decode()
    assert page.context["made"].expires_at == PairingCode.objects.get().expires_at
    assert "no-store" in page["Cache-Control"]
    again = admin_client.get(code_url(tenant)).content.decode()
    history = admin_client.get(f"{LIST}{tenant.pk}/history/").content.decode()
    assert code not in again + history
    assert "Made a pairing code." in history


def test_an_operator_is_told_that_the_first_site_gets_it(admin_client):
    tenant = TenantFactory(site_url="")
    assert "no site URL" in admin_client.get(code_url(tenant)).content.decode()
    assert "the first that uses it" in admin_client.post(code_url(tenant)).content.decode()


def test_no_code_is_made_for_a_tenant_that_is_off(admin_client):
    page = admin_client.post(code_url(TenantFactory(is_active=False)))
    assert "deactivated" in page.content.decode()
    assert not PairingCode.objects.exists()


def test_a_code_is_for_those_who_may_make_credentials(log_in, client):
    tenant = TenantFactory()
    for person, status in ((log_in("view_tenant"), 403), (log_in("add_credential"), 403), (client, 302)):
        assert person.post(code_url(tenant)).status_code == status
        assert person.get(code_url(tenant)).status_code == status
    assert not PairingCode.objects.exists()
    assert log_in("view_tenant", "add_credential").post(code_url(tenant)).status_code == 200
    assert log_in("view_tenant", "add_credential").post(code_url(Tenant(pk=10**6))).status_code == 404
    assert log_in("view_tenant", "add_credential", csrf=True).post(code_url(tenant)).status_code == 403
    assert "Pairing code" not in log_in("view_tenant").get(change_url(tenant)).content.decode()
