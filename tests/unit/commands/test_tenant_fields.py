"""Every option of a tenant is saved as it was given, and read back by ``show``."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.core.management import CommandError

from django_wp_ai.management import tenant_fields
from django_wp_ai.models import Tenant
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

#: By option: the words that set it, the field, what is stored, and what ``show --json`` prints (if that differs).
GIVEN = {
    "--name": (["--name", "The Shop"], "name", "The Shop"),
    "--site-url": (["--site-url", "https://shop.example.org"], "site_url", "https://shop.example.org"),
    "--timezone": (["--timezone", "Europe/Berlin"], "timezone", "Europe/Berlin"),
    "--origin": (["--origin", "https://a.example.org"], "origins", ["https://a.example.org"]),
    "--callback-host": (["--callback-host", "a.example.org"], "callback_hosts", ["a.example.org"]),
    "--callback-url": (["--callback-url", "https://a.example.org/hook"], "callback_url", "https://a.example.org/hook"),
    "--rpm": (["--rpm", "11"], "rpm", 11),
    "--rpd": (["--rpd", "12"], "rpd", 12),
    "--tpm": (["--tpm", "13"], "tpm", 13),
    "--end-user-rpm": (["--end-user-rpm", "14"], "end_user_rpm", 14),
    "--end-user-rpd": (["--end-user-rpd", "15"], "end_user_rpd", 15),
    "--ip-rpm": (["--ip-rpm", "16"], "ip_rpm", 16),
    "--max-streams": (["--max-streams", "17"], "max_streams", 17),
    "--routes": (["--routes", '{"chat": {"rpm": 18}}'], "routes", {"chat": {"rpm": 18}}),
    "--budget-day-usd": (["--budget-day-usd", "1.25"], "budget_day_usd", Decimal("1.25")),
    "--budget-month-usd": (["--budget-month-usd", "2.5"], "budget_month_usd", Decimal("2.5")),
    "--soft-budget-day-usd": (["--soft-budget-day-usd", "0.75"], "soft_budget_day_usd", Decimal("0.75")),
    "--soft-budget-month-usd": (["--soft-budget-month-usd", "0.5"], "soft_budget_month_usd", Decimal("0.5")),
    "--alert-email": (
        ["--alert-email", "a@example.org", "--alert-email", "b@example.org"],
        "alert_emails",
        ["a@example.org", "b@example.org"],
    ),
    "--alert-url": (["--alert-url", "https://alerts.example.org/"], "alert_url", "https://alerts.example.org/"),
    "--digest": (["--digest", "daily"], "digest", "daily"),
    "--models": (["--models", "gpt-4o-*,offline:echo"], "allowed_models", ["gpt-4o-*", "offline:echo"]),
    "--denied-models": (["--denied-models", "gpt-4o, o1*"], "denied_models", ["gpt-4o", "o1*"]),
    "--model-aliases": (
        ["--model-aliases", '{"smart": ["offline:a", {"target": "offline:b", "weight": 2}]}'],
        "model_aliases",
        {"smart": ["offline:a", {"target": "offline:b", "weight": 2}]},
    ),
    "--default-model": (["--default-model", "smart"], "default_model", "smart"),
    "--system-prompt": (["--system-prompt", "Be kind."], "system_prompt", "Be kind."),
    "--max-tokens-limit": (["--max-tokens-limit", "800"], "max_tokens_limit", 800),
    "--default-max-tokens": (["--default-max-tokens", "400"], "default_max_tokens", 400),
    "--temperature-min": (["--temperature-min", "0.1"], "temperature_min", 0.1),
    "--temperature-max": (["--temperature-max", "1"], "temperature_max", 1.0),
    "--default-temperature": (["--default-temperature", "0.5"], "default_temperature", 0.5),
    "--cache-mode": (["--cache-mode", "deterministic"], "cache_mode", "deterministic"),
    "--cache-ttl-s": (["--cache-ttl-s", "60"], "cache_ttl_s", 60),
    "--cache-per-end-user": (["--no-cache-per-end-user"], "cache_per_end_user", False),
    "--conversation-tokens": (["--conversation-tokens", "500"], "conversation_tokens", 500),
    "--conversation-days": (["--conversation-days", "5"], "conversation_days", 5),
    "--max-running-jobs": (["--max-running-jobs", "3"], "max_running_jobs", 3),
    "--job-rpm": (["--job-rpm", "60"], "job_rpm", 60),
    "--end-user-job-rpm": (["--end-user-job-rpm", "6"], "end_user_job_rpm", 6),
    "--job-days": (["--job-days", "14"], "job_days", 14),
    "--job-retention": (["--job-retention", "anonymise"], "job_retention", "anonymise"),
    "--allowed-tools": (["--allowed-tools", "search_*,weather"], "allowed_tools", ["search_*", "weather"]),
    "--redact-pii": (["--redact-pii"], "redact_pii", True),
    "--redaction-locales": (["--redaction-locales", "de,en-GB"], "redaction_locales", ["de", "en-GB"]),
    "--redaction-patterns": (
        ["--redaction-patterns", '{"order": "ORD-[0-9]{6}"}'],
        "redaction_patterns",
        {"order": "ORD-[0-9]{6}"},
    ),
    "--denied-term": (["--denied-term", "two words", "--denied-term", "x"], "denied_terms", ["two words", "x"]),
    "--moderation": (["--moderation", "local"], "moderation", "local"),
}


def test_every_option_is_tried_below() -> None:
    assert set(GIVEN) == {option.flag for option in tenant_fields.OPTIONS}


@pytest.mark.parametrize("flag", GIVEN)
def test_an_option_is_saved_and_read_back(shell, flag):
    words, name, stored = GIVEN[flag]
    TenantFactory(slug="blog")
    printed = shell.json("wp_ai_tenant", "set", "blog", *words)
    assert getattr(Tenant.objects.get(slug="blog"), name) == stored
    shown = shell.json("wp_ai_tenant", "show", "blog")
    expected = float(stored) if isinstance(stored, Decimal) else stored
    key = tenant_fields.PRINTED_AS.get(name, name)
    assert shown[key] == printed[key] == expected


def test_create_takes_all_options_at_once(shell):
    shell.run("wp_ai_tenant", "create", "blog", *(word for words, _, _ in GIVEN.values() for word in words))
    tenant = Tenant.objects.get(slug="blog")
    for _, name, stored in GIVEN.values():
        assert getattr(tenant, name) == stored


def test_setting_one_option_leaves_all_others(shell):
    shell.run("wp_ai_tenant", "create", "blog", *(word for words, _, _ in GIVEN.values() for word in words))
    before = shell.json("wp_ai_tenant", "show", "blog")
    shell.run("wp_ai_tenant", "set", "blog", "--max-streams", "99")
    assert shell.json("wp_ai_tenant", "show", "blog") == {**before, "max_streams": 99}


def test_none_clears_every_value_that_can_be_empty(shell):
    keep = {
        "--timezone",
        "--digest",
        "--cache-mode",
        "--cache-ttl-s",
        "--conversation-tokens",
        "--conversation-days",
        "--job-days",
        "--job-retention",
        "--moderation",
    }
    switches = {"--redact-pii", "--cache-per-end-user"}
    shell.run("wp_ai_tenant", "create", "blog", *(word for words, _, _ in GIVEN.values() for word in words))
    cleared = [word for flag in GIVEN if flag not in keep | switches for word in (flag, "none")]
    shell.run("wp_ai_tenant", "set", "blog", *cleared, "--no-redact-pii", "--cache-per-end-user")
    tenant, fresh = Tenant.objects.get(slug="blog"), Tenant()
    for flag, (_, name, stored) in GIVEN.items():
        assert getattr(tenant, name) == (stored if flag in keep else getattr(fresh, name)), flag


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rpm", "x"], "not a number"),
        (["--max-streams", "-1"], "not a number"),
        (["--cache-ttl-s", "none"], "give a number"),
        (["--cache-ttl-s", "0"], "cache_ttl_s"),
        (["--cache-ttl-s", "99999999"], "cache_ttl_s"),
        (["--job-days", "0"], "job_days"),
        (["--job-days", "none"], "give a number"),
        (["--job-retention", "forget"], "invalid choice"),
        (["--cache-mode", "always"], "invalid choice"),
        (["--moderation", "strict"], "invalid choice"),
        (["--digest", "hourly"], "invalid choice"),
        (["--temperature-max", "3"], "temperature_max"),
        (["--temperature-max", "nan"], "not a number"),
        (["--temperature-min", "inf"], "not a number"),
        (["--temperature-min", "1", "--temperature-max", "0.5"], "temperature_max"),
        (["--temperature-max", "0.5", "--default-temperature", "0.6"], "default_temperature"),
        (["--temperature-min", "0.5", "--default-temperature", "0.4"], "default_temperature"),
        (["--conversation-tokens", "5"], "conversation_tokens"),
        (["--conversation-days", "0"], "conversation_days"),
        (["--soft-budget-day-usd", "-1"], "not an amount"),
        (["--soft-budget-month-usd", "1e999"], "soft_budget_month_usd"),
        (["--alert-email", "nobody"], "alert_emails"),
        (["--alert-email", "a@example.org\nBcc: b@example.org"], "alert_emails"),
        (["--alert-url", "ftp://example.org"], "alert_url"),
        (["--alert-url", "mail me"], "alert_url"),
        (["--callback-url", "no url"], "callback_url"),
        (["--callback-host", "https://a.example.org"], "callback_hosts"),
        (["--callback-host", "a.example.org:8080"], "callback_hosts"),
        (["--callback-host", "*.example.org"], "callback_hosts"),
        (["--callback-host", "a..example.org"], "callback_hosts"),
        (["--callback-host", "2130706433"], "callback_hosts"),
        (["--callback-host", "127.1"], "callback_hosts"),
        (["--callback-host", "x" * 64 + ".example.org"], "callback_hosts"),
        (["--routes", "chat"], "JSON object"),
        (["--routes", "[]"], "JSON object"),
        (["--routes", '{"nowhere": {"rpm": 1}}'], "nowhere"),
        (["--routes", '{"chat": {"rpm": 0}}'], "routes"),
        (["--model-aliases", '{"a": "no-colon"}'], "model_aliases"),
        (["--redaction-patterns", '{"x": "(a+)+"}'], "redaction_patterns"),
        (["--redaction-patterns", '{"x": "("}'], "redaction_patterns"),
        (["--redaction-patterns", '{"x": 5}'], "redaction_patterns"),
        (["--redaction-locales", "klingon"], "redaction_locales"),
        (["--denied-term", " "], "denied_terms"),
        (["--default-model", "m" * 129], "default_model"),
    ],
)
def test_a_wrong_value_is_one_line_and_nothing_is_changed(shell, options, said):
    TenantFactory(slug="blog")
    before = shell.json("wp_ai_tenant", "show", "blog")
    with pytest.raises(CommandError, match=said) as caught:
        shell.run("wp_ai_tenant", "set", "blog", *options)
    assert "\n" not in str(caught.value)
    assert shell.json("wp_ai_tenant", "show", "blog") == before


@pytest.mark.parametrize(
    "host", ["blog.example.org", "localhost", "wp_1", "10.0.0.8", "::1", "2001:db8::5", "XN--4CA.example"]
)
def test_host_names_and_addresses_are_taken(shell, host):
    TenantFactory(slug="blog")
    shell.run("wp_ai_tenant", "set", "blog", "--callback-host", host)
    assert Tenant.objects.get(slug="blog").callback_hosts == [host]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--model-aliases", '{"smart": "nobody:x"}'], "smart: nobody:x is of no configured provider"),
        (["--model-aliases", '{"smart": [{"target": "offline:other"}]}'], "does not serve offline:other"),
        (["--default-model", "nobody:x"], "default_model: nobody:x"),
        (["--budget-day-usd", "1", "--soft-budget-day-usd", "2"], "never reached"),
        (["--digest", "daily"], "no alert address"),
    ],
)
def test_what_is_probably_not_meant_is_saved_and_remarked_on(shell, options, said):
    printed = shell.run("wp_ai_tenant", "create", "blog", *options)
    assert said in printed
    TenantFactory(slug="other")
    assert said in shell.run("wp_ai_tenant", "set", "other", *options)
    json.loads(shell.run("wp_ai_tenant", "set", "other", *options, "--json"))


def test_what_is_right_is_not_remarked_on(shell):
    TenantFactory(slug="blog")
    aliases = '{"quick": "offline:offline-extractive"}'
    words = ["--model-aliases", aliases, "--budget-day-usd", "2", "--soft-budget-day-usd", "1"]
    printed = shell.run("wp_ai_tenant", "set", "blog", *words, "--default-model", "quick")
    assert "provider" not in printed
    assert "never" not in printed
