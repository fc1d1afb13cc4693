from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from threading import Barrier

import pytest
from django.core.management import CommandError
from django.db import connection
from django.utils import timezone

from django_wp_ai.models import Credential, Tenant, UsageEvent
from django_wp_ai.security import secrets
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


def test_create_prints_the_keys_as_demo_json_names_them(shell):
    made = shell.json("wp_ai_tenant", "create", "blog")
    tenant = Tenant.objects.get(slug="blog")
    hmac = Credential.objects.get(key_id=made["hmac"]["keyid"])
    assert made["tenant"] == made["slug"] == "blog"
    assert secrets.decrypt(hmac.secret_encrypted) == made["hmac"]["secret"]
    assert Credential.objects.get(key_id=made["jwt"]["kid"]).algorithm == made["jwt"]["alg"] == "HS256"
    key_id, secret = made["api_key"].removeprefix("wpai_").split("_", 1)
    assert secrets.matches(secret, Credential.objects.get(key_id=key_id).secret_hash)
    assert made["callback_secret"].startswith("whsec_")
    assert {credential.tenant for credential in Credential.objects.all()} == {tenant}


def test_create_stores_every_option(shell):
    TenantFactory(slug="agency")
    made = shell.json(
        *("wp_ai_tenant", "create", "shop", "--name", "The Shop", "--site-url", "HTTPS://Shop.example.org/"),
        *("--rpm", "10", "--rpd", "100", "--tpm", "1000", "--budget-day-usd", "0.5", "--budget-month-usd", "5"),
        *("--models", "gpt-4o-*, offline:echo", "--origin", "https://a.example.org", "--origin", "http://b.test:81"),
        *("--callback-host", "hooks.example.org", "--parent", "agency", "--timezone", "Europe/Berlin"),
    )
    tenant = Tenant.objects.get(slug="shop")
    assert (tenant.name, tenant.site_url) == ("The Shop", "https://shop.example.org")
    assert (tenant.rpm, tenant.rpd, tenant.tpm) == (10, 100, 1000)
    assert (tenant.budget_day_usd, tenant.budget_month_usd) == (Decimal("0.5"), Decimal(5))
    assert tenant.allowed_models == ["gpt-4o-*", "offline:echo"]
    assert tenant.origins == ["https://a.example.org", "http://b.test:81"]
    assert tenant.callback_hosts == ["hooks.example.org"]
    assert (tenant.parent.slug, tenant.timezone) == ("agency", "Europe/Berlin")
    assert made["budget_day_usd"] == 0.5
    assert made["parent"] == "agency"
    assert made["models"] == ["gpt-4o-*", "offline:echo"]


def test_create_prints_names_and_secrets_for_people(shell):
    printed = shell.run("wp_ai_tenant", "create", "blog", "--rpm", "5")
    assert "hmac.secret" in printed
    assert "shown only now" in printed
    assert secrets.decrypt(Credential.objects.get(kind="hmac").secret_encrypted) in printed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["Not A Slug"], "slug"),
        ([""], "slug"),
        (["x" * 65], "slug"),
        (["new", "--site-url", "no url"], "site_url"),
        (["new", "--site-url", "ftp://example.org"], "site_url"),
        (["new", "--site-url", "http://["], "site_url"),
        (["new", "--timezone", "Mars/Base"], "timezone"),
        (["new", "--origin", "*"], "origins"),
        (["new", "--origin", "https://a.example.org/path"], "origins"),
        (["new", "--callback-host", " "], "callback_hosts"),
        (["new", "--budget-day-usd", "-1"], "not an amount"),
        (["new", "--budget-day-usd", "NaN"], "not an amount"),
        (["new", "--budget-month-usd", "Infinity"], "not an amount"),
        (["new", "--budget-month-usd", "ten"], "not an amount"),
        (["new", "--budget-month-usd", "1e999"], "budget_month_usd"),
        (["new", "--budget-month-usd", "0.00001"], "budget_month_usd"),
        (["new", "--rpm", "-1"], "not a number"),
        (["new", "--rpm", "1.5"], "not a number"),
        (["new", "--rpm", "99999999999"], "not a number"),
        (["new", "--models", "a,,b"], "commas"),
        (["new", "--parent", "nobody"], "parent"),
        (["new", "--name", "n" * 201], "name"),
        (["new", "--nonsense"], "unrecognized"),
        ([], "required"),
    ],
)
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_wrong_option_is_one_line_and_nothing_is_made(shell, options, said, as_json):
    with pytest.raises(CommandError, match=said) as caught:
        shell.run("wp_ai_tenant", "create", *options, *as_json)
    assert "\n" not in str(caught.value)
    assert not Tenant.objects.exists()
    assert not Credential.objects.exists()


def test_the_same_slug_twice_is_refused_and_makes_nothing(shell):
    shell.run("wp_ai_tenant", "create", "blog")
    before = Credential.objects.count()
    with pytest.raises(CommandError, match="already exists"):
        shell.run("wp_ai_tenant", "create", "blog")
    assert (Tenant.objects.count(), Credential.objects.count()) == (1, before)


def test_no_tenant_stays_when_its_keys_can_not_be_made(shell, settings):
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": ["no fernet key"]}
    with pytest.raises(CommandError, match="ENCRYPTION_KEYS"):
        shell.run("wp_ai_tenant", "create", "blog")
    assert not Tenant.objects.exists()


def test_set_changes_only_what_is_given(shell):
    TenantFactory(slug="blog", rpm=5, rpd=50, name="Old")
    shown = shell.json("wp_ai_tenant", "set", "blog", "--rpm", "7")
    tenant = Tenant.objects.get(slug="blog")
    assert (tenant.rpm, tenant.rpd, tenant.name) == (7, 50, "Old")
    assert shown["rpm"] == 7
    assert "secret" not in json.dumps(shown)


def test_set_clears_with_the_word_none(shell):
    parent = TenantFactory(slug="agency")
    TenantFactory(
        slug="blog",
        rpm=5,
        budget_day_usd=1,
        allowed_models=["a"],
        origins=["https://a.example.org"],
        callback_hosts=["a.example.org"],
        parent=parent,
    )
    cleared = [
        word
        for option in ("rpm", "budget-day-usd", "models", "origin", "callback-host", "parent", "site-url", "name")
        for word in (f"--{option}", "none")
    ]
    shell.run("wp_ai_tenant", "set", "blog", *cleared)
    tenant = Tenant.objects.get(slug="blog")
    assert (tenant.rpm, tenant.budget_day_usd, tenant.parent, tenant.site_url, tenant.name) == (
        None,
        None,
        None,
        "",
        "",
    )
    assert (tenant.allowed_models, tenant.origins, tenant.callback_hosts) == ([], [], [])


def test_set_refuses_a_circle_of_parents(shell):
    TenantFactory(slug="below", parent=TenantFactory(slug="above"))
    with pytest.raises(CommandError, match="above itself"):
        shell.run("wp_ai_tenant", "set", "above", "--parent", "below")
    assert Tenant.objects.get(slug="above").parent is None


def test_set_without_options_says_so(shell):
    TenantFactory(slug="blog")
    with pytest.raises(CommandError, match="Nothing to change"):
        shell.run("wp_ai_tenant", "set", "blog")


@pytest.mark.parametrize("verb", ["set", "show", "deactivate"])
def test_an_unknown_tenant_is_named_in_one_line(shell, verb):
    with pytest.raises(CommandError, match="There is no tenant 'nobody'"):
        shell.run("wp_ai_tenant", verb, "nobody", *(["--rpm", "1"] if verb == "set" else []))


def test_show_counts_this_months_calls_and_unknown_prices(shell):
    tenant = TenantFactory(slug="blog")
    shared = {"tenant": tenant, "route": "chat", "provider": "p", "model": "m", "state": "settled"}
    now = timezone.now()
    for cost, at in ((Decimal("0.25"), now), (None, now), (Decimal(9), now - timedelta(days=40))):
        UsageEvent.objects.create(**shared, cost_usd=cost, created_at=at, settled_at=at)
    shown = shell.json("wp_ai_tenant", "show", "blog")
    assert (shown["month_calls"], shown["month_spend_usd"], shown["month_unknown_price_calls"]) == (2, 0.25, 1)


def test_no_secret_is_printed_after_creation(shell):
    made = shell.json("wp_ai_tenant", "create", "blog")
    later = "".join(
        shell.run("wp_ai_tenant", *words, *as_json)
        for words in (["show", "blog"], ["list"], ["set", "blog", "--rpm", "1"], ["deactivate", "blog"])
        for as_json in ([], ["--json"])
    )
    for secret in (made["hmac"]["secret"], made["jwt"]["secret"], made["api_key"], made["callback_secret"]):
        assert secret not in later
    for credential in Credential.objects.all():
        assert not credential.secret_hash or credential.secret_hash not in later
        assert not credential.secret_encrypted or credential.secret_encrypted not in later


def test_list_is_a_table_for_people_and_an_array_in_json(shell):
    assert "no tenants" in shell.run("wp_ai_tenant", "list")
    assert shell.json("wp_ai_tenant", "list") == []
    TenantFactory(slug="b-site", rpm=5)
    TenantFactory(slug="a-site", is_active=False)
    lines = shell.run("wp_ai_tenant", "list").splitlines()
    assert lines[0].split()[:2] == ["slug", "name"]
    assert [line.split()[0] for line in lines[1:]] == ["a-site", "b-site"]
    assert [(row["slug"], row["active"]) for row in shell.json("wp_ai_tenant", "list")] == [
        ("a-site", False),
        ("b-site", True),
    ]


def test_a_name_can_not_act_on_the_terminal(shell):
    TenantFactory(slug="blog", name="evil\x1b[2Jname\nslug")
    printed = shell.run("wp_ai_tenant", "show", "blog")
    assert "\x1b" not in printed
    assert "evil [2Jname slug" in printed


def test_deactivate_stops_all_calls_and_may_be_repeated(shell):
    shell.run("wp_ai_tenant", "create", "blog")
    assert Credential.objects.live().count() == 4
    for _ in range(2):
        assert shell.json("wp_ai_tenant", "deactivate", "blog")["active"] is False
    assert not Credential.objects.live().exists()


def manage(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "PYTHONPATH": str(root), **variables}
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.once
@pytest.mark.parametrize(
    "words",
    [
        ["wp_ai_tenant", "create", "Not A Slug", "--json"],
        ["wp_ai_tenant", "create", "--json"],
        ["wp_ai_tenant", "create", "a", "--rpm", "x", "--settings", "tests.settings"],
        ["wp_ai_tenant", "nonsense"],
        ["wp_ai_tenant"],
    ],
)
def test_from_the_shell_an_error_is_one_line_on_stderr_and_a_code(words):
    done = manage(*words)
    assert done.returncode != 0
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("CommandError: ")


@pytest.mark.once
def test_a_missing_table_is_one_line():
    done = manage("wp_ai_tenant", "list", TEST_DATABASE_URL="sqlite:///:memory:")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "no such table" in done.stderr


def test_an_argument_that_is_not_text_is_one_line(shell):
    with pytest.raises(CommandError, match="UTF-8"):
        shell.run("wp_ai_tenant", "show", "\udcff")


@pytest.mark.once
def test_with_traceback_the_shell_shows_where_an_argument_was_refused():
    assert "Traceback" in manage("wp_ai_tenant", "create", "--traceback").stderr


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_many_that_create_the_same_tenant_at_once_one_succeeds_and_the_others_are_told(shell):
    start = Barrier(8)

    def create() -> str:
        start.wait()
        try:
            return shell.run("wp_ai_tenant", "create", "blog")
        except CommandError as error:
            return str(error)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = [done.result() for done in [pool.submit(create) for _ in range(8)]]
    assert sum("hmac.secret" in answer for answer in answers) == 1
    assert sum("already exists" in answer for answer in answers) == 7
    assert (Tenant.objects.count(), Credential.objects.count()) == (1, 4)
