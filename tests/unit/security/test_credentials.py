"""What a process remembers of credentials, and how soon it forgets: a revoked one stops everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_wp_ai.conf import load
from django_wp_ai.models import Budget, Credential, Tenant
from django_wp_ai.security import credentials
from django_wp_ai.security.credentials import MAX_ENTRIES, PER_TENANT, by_key_id, by_profile, by_site, fresh
from django_wp_ai.security.issue import rotate
from tests.factories import TenantFactory, make_credential
from tests.servers import ROOT
from tests.services import redis_url

HMAC = (Credential.Kind.HMAC,)


@pytest.fixture
def remembering(settings: Any) -> None:
    """A process that keeps what it found for longer than any test takes."""
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "CREDENTIAL_CACHE_S": 3600}


def queries() -> CaptureQueriesContext:
    return CaptureQueriesContext(connection)


@pytest.mark.django_db
@pytest.mark.usefixtures("remembering")
def test_what_was_found_is_not_asked_for_again() -> None:
    issued = make_credential(profile="site-id")
    tenant = issued.credential.tenant
    jwt = make_credential("jwt", tenant=tenant)
    for _ in range(2):
        with queries() as asked:
            assert by_key_id(issued.credential.key_id, kinds=HMAC) == issued.credential
            assert by_profile("site-id", "") == (issued.credential,)
            assert by_profile("site-id", tenant.slug) == (issued.credential,)
            assert by_profile("site-id", tenant.site_url) == (issued.credential,)
            assert by_site(site=tenant.site_url, slug="") == (jwt.credential,)
            assert by_site(site="", slug=tenant.slug) == (jwt.credential,)
    assert len(asked) == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("remembering")
def test_what_was_not_found_is_not_asked_for_again() -> None:
    for _ in range(2):
        with queries() as asked:
            assert by_key_id("nobody", kinds=HMAC) is None
    assert len(asked) == 0


@pytest.mark.django_db
@pytest.mark.usefixtures("remembering")
def test_a_remembered_credential_still_ends_when_its_time_comes() -> None:
    issued = make_credential(expires_at=None)
    found = by_key_id(issued.credential.key_id, kinds=HMAC)
    assert found is not None
    found.expires_at = found.created_at
    assert by_key_id(issued.credential.key_id, kinds=HMAC) is None


@pytest.mark.django_db
@pytest.mark.usefixtures("remembering")
def test_another_kind_is_not_found_though_it_is_remembered() -> None:
    key_id = make_credential().credential.key_id
    assert by_key_id(key_id, kinds=HMAC) is not None
    assert by_key_id(key_id, kinds=(Credential.Kind.JWT, Credential.Kind.API_KEY)) is None


@pytest.mark.usefixtures("remembering")
def test_memory_is_bounded_whatever_strangers_ask_for() -> None:
    for number in range(MAX_ENTRIES + 10):
        fresh.get(("key", str(number)), lambda: ())
    assert len(fresh._entries) == MAX_ENTRIES
    fresh.clear()
    assert len(fresh._entries) == 0


@pytest.mark.usefixtures("remembering")
def test_a_result_is_as_old_as_the_question_not_as_the_answer(settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "CREDENTIAL_CACHE_S": 0.05}
    revoked = Credential(key_id="slow")

    def slow_answer() -> tuple[Credential, ...]:
        time.sleep(0.06)  # the row was read, then it was revoked, then the answer came
        return (revoked,)

    assert fresh.get(("key", "slow"), slow_answer) == (revoked,)
    assert fresh.get(("key", "slow"), lambda: ()) == ()


@pytest.mark.parametrize("key_id", ["", "a b", "../a", "a\x00", "\ud800", "ü", "a" * 65, "a\n"])
def test_what_can_be_no_key_id_is_not_asked_of_the_database(key_id: str) -> None:
    assert by_key_id(key_id, kinds=HMAC) is None  # a query would fail here: this test may not use the database


@pytest.mark.django_db
def test_candidates_come_newest_first_and_only_so_many() -> None:
    tenant = TenantFactory.create()
    signers, issuers = ([make_credential(tenant=tenant, **wanted).credential for _ in range(PER_TENANT + 1)]
                        for wanted in ({"profile": "x-sig"}, {"kind": "jwt"}))  # fmt: skip
    for hint in (tenant.slug, tenant.site_url):
        assert by_profile("x-sig", hint) == tuple(signers[:0:-1])
    assert by_site(site=tenant.site_url, slug="") == tuple(issuers[:0:-1])
    assert by_site(site="", slug=tenant.slug) == tuple(issuers[:0:-1])


@pytest.mark.django_db
@pytest.mark.parametrize("limit", [0, 2])
def test_a_host_limits_how_many_are_tried_without_a_hint(settings: Any, limit: int) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "LEGACY_CANDIDATES": limit}
    made = [make_credential(profile="x-sig").credential for _ in range(3)]
    assert by_profile("x-sig", "") == tuple(made[::-1][:limit])
    for one in made:
        assert by_profile("x-sig", one.key_id) == by_profile("x-sig", one.tenant.slug) == (one,)
        assert by_key_id(one.key_id, kinds=HMAC) == one


@pytest.mark.django_db
def test_a_key_id_that_is_another_tenants_slug_finds_its_own_credential() -> None:
    issued = make_credential(profile="site-id", key_id="shared-name")
    make_credential(profile="site-id", tenant=TenantFactory.create(slug="shared-name"))
    assert by_profile("site-id", "shared-name") == (issued.credential,)


# Revocation between processes: another one asks for the credential, again and again, with the default settings.

ASKING = """
import sys, django
django.setup()
from django.db import connection
from django_wp_ai.security.credentials import by_key_id
for key_id in map(str.strip, sys.stdin):
    print(int(by_key_id(key_id, kinds=("hmac", "jwt", "api_key")) is not None), flush=True)
"""


@contextmanager
def another_process() -> Iterator[subprocess.Popen[str]]:
    default_s = credentials.settings.credential_cache_s
    assert default_s == 0.5
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE": json.dumps({**connection.settings_dict, "NAME": str(connection.settings_dict["NAME"])}),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps({"CREDENTIAL_CACHE_S": default_s}),
    }
    command = [sys.executable, "-c", ASKING]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


def is_live_for(process: subprocess.Popen[str], key_id: str) -> bool:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{key_id}\n")
    process.stdin.flush()
    return process.stdout.readline() == "1\n"


@pytest.mark.django_db(transaction=True)
def test_a_revoked_or_rotated_credential_stops_in_another_process_too(settings: Any) -> None:
    options = {name: value for name, value in settings.DJANGO_WP_AI.items() if name != "CREDENTIAL_CACHE_S"}
    settings.DJANGO_WP_AI = options
    revoked, of_inactive = make_credential().credential, make_credential("jwt").credential
    with another_process() as process:
        assert is_live_for(process, revoked.key_id)
        assert is_live_for(process, of_inactive.key_id)
        revoked.revoke()
        Tenant.objects.filter(pk=of_inactive.tenant_id).update(is_active=False)
        while is_live_for(process, revoked.key_id) or is_live_for(process, of_inactive.key_id):
            time.sleep(0.01)
        successor = rotate(make_credential().credential).credential
        assert is_live_for(process, successor.key_id)


def test_the_default_leaves_room_within_the_second() -> None:
    assert load({}).credential_cache_s <= 0.5


@pytest.mark.django_db
def test_a_found_credential_brings_its_tenants_chain_and_budgets() -> None:
    agency = TenantFactory(budget_day_usd=5)
    tenant = TenantFactory(parent=TenantFactory(parent=agency))
    for owner in (tenant, agency):
        Budget.objects.create(tenant=owner, applies_to="model", period="day", amount_usd=1)
    issued = make_credential("api_key", tenant=tenant)
    with queries() as asked:
        found = by_key_id(issued.credential.key_id, kinds=(Credential.Kind.API_KEY,))
    assert found is not None
    assert len(asked) == 4  # the credential with its tenant, two levels above it, all their budgets
    with queries() as asked:
        site = found.tenant
        assert site.parent is not None
        assert site.parent.parent == agency
        assert [len(above.budgets.all()) for above in (site, site.parent, site.parent.parent)] == [1, 0, 1]
    assert not asked.captured_queries
