"""``v1/pair``: a code becomes a site's keys, once."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import pairing
from django_wp_ai.models import AuthFailureCount, Credential, PairingCode, Tenant
from django_wp_ai.policy import anonymous
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import issue_site_keys, rotate
from tests.api.conftest import MOUNT, Site
from tests.api.refusals import check_shape
from tests.factories import TenantFactory
from tests.signing import message_signature

URL = f"{MOUNT}v1/pair"


@pytest.fixture
def tenant(db: None) -> Tenant:
    return TenantFactory.create(slug="blog", site_url="https://blog.example.org")


def pair(client: Client, code: str, **fields: Any) -> Any:
    body = {
        "code": code,
        "site_url": "https://blog.example.org",
        "callback_url": "https://blog.example.org/wp-json/wp-ai/v1/callback",
        "plugin_version": "1.2.0",
        **fields,
    }
    return client.post(URL, body, content_type="application/json")


def refused(response: Any) -> dict[str, Any]:
    return check_shape(response, "v1/pair", 401, "unauthenticated")


def test_the_reply_holds_the_documented_keys_and_they_work(client: Client, tenant: Tenant) -> None:
    response = pair(client, pairing.make(tenant).code)
    assert response.status_code == 200
    assert response["Cache-Control"] == "no-store"
    keys = response.json()
    assert set(keys) == {"tenant", "base_url", "keyid", "signing_secret", "api_key", "callback_secret"}
    assert keys["tenant"] == "blog"
    assert keys["base_url"] == "http://testserver/wp-ai"
    assert keys["callback_secret"].startswith("whsec_")
    models = f"{keys['base_url']}/v1/models"
    signed = message_signature(keys["keyid"], keys["signing_secret"], method="GET", path="/wp-ai/v1/models")
    for headers in (signed, {"X-API-Key": keys["api_key"]}):
        assert client.get(models, headers=headers).status_code == 200


def test_what_the_site_told_is_kept(client: Client, tenant: Tenant) -> None:
    pair(client, pairing.make(tenant).code)
    tenant.refresh_from_db()
    assert tenant.callback_url == "https://blog.example.org/wp-json/wp-ai/v1/callback"
    assert tenant.callback_hosts == ["blog.example.org"]
    [code] = PairingCode.objects.all()
    assert code.used_at is not None
    assert (code.site_url, code.plugin_version) == ("https://blog.example.org", "1.2.0")
    assert {one.label for one in tenant.credentials.all()} == {"paired, plugin 1.2.0"}
    assert {one.kind for one in tenant.credentials.all()} == {"hmac", "api_key", "callback"}


def test_a_code_is_a_hundred_random_bits_in_groups(tenant: Tenant) -> None:
    made = pairing.make(tenant)
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){4}", made.code)
    assert timedelta(minutes=9) < made.expires_at - timezone.now() <= timedelta(minutes=10)
    assert made.code not in repr(made)
    assert made.code not in str(list(PairingCode.objects.values()))
    assert made.code.replace("-", "") not in str(list(PairingCode.objects.values()))


@pytest.mark.parametrize(
    "typed",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: f"  {code.replace('-', ' ')}\t",
        lambda code: code.replace("-", "\u2013"),
        lambda code: code.replace("0", "O").replace("1", "l"),
        lambda code: code.replace("0", "o").replace("1", "I"),
    ],
)
def test_a_code_is_read_as_it_was_meant(client: Client, tenant: Tenant, typed: Any) -> None:
    assert pair(client, typed(pairing.make(tenant).code)).status_code == 200


def test_a_code_works_once(client: Client, tenant: Tenant) -> None:
    code = pairing.make(tenant).code
    assert pair(client, code).status_code == 200
    before = Credential.objects.count()
    told = refused(pair(client, code))
    assert "unknown, used or out of time" in told["detail"]
    assert Credential.objects.count() == before


def test_a_code_ends_after_ten_minutes(client: Client, tenant: Tenant) -> None:
    code = pairing.make(tenant).code
    PairingCode.objects.update(expires_at=timezone.now())
    refused(pair(client, code))
    PairingCode.objects.update(expires_at=timezone.now() + timedelta(seconds=30))
    assert pair(client, code).status_code == 200


def test_all_that_is_wrong_with_a_code_is_told_the_same(client: Client, tenant: Tenant) -> None:
    used, expired = pairing.make(tenant).code, pairing.make(TenantFactory.create()).code
    pair(client, used)
    PairingCode.objects.filter(used_at=None).update(expires_at=timezone.now())
    off = TenantFactory.create(site_url="https://blog.example.org")
    of_inactive = pairing.make(off).code
    Tenant.objects.filter(pk=off.pk).update(is_active=False)
    codes = ("AAAA-AAAA-AAAA-AAAA-AAAA", "x", "é" * 64, used, expired, of_inactive)
    told = [{**refused(pair(client, code)), "request_id": ""} for code in codes]
    assert all(one == told[0] for one in told)
    assert sum(AuthFailureCount.objects.filter(method="pairing").values_list("count", flat=True)) == 6
    assert PairingCode.objects.get(tenant=off).used_at is None


def test_a_new_code_voids_the_one_before(client: Client, tenant: Tenant) -> None:
    other = pairing.make(TenantFactory.create(site_url="https://other.example.org")).code
    first, second = pairing.make(tenant).code, pairing.make(tenant).code
    refused(pair(client, first))
    assert pair(client, second).status_code == 200
    assert pair(client, other, site_url="https://other.example.org").status_code == 200


def test_no_code_is_made_for_a_tenant_that_is_off(db: None) -> None:
    with pytest.raises(Invalid, match="deactivated"):
        pairing.make(Tenant(slug="off", is_active=False))


def test_pairing_again_leaves_the_earlier_keys(client: Client, tenant: Tenant) -> None:
    first = pair(client, pairing.make(tenant).code).json()
    again = pair(client, pairing.make(tenant).code).json()
    assert first["api_key"] != again["api_key"]
    assert first["signing_secret"] != again["signing_secret"]
    assert first["callback_secret"] == again["callback_secret"]
    assert Credential.objects.live().count() == 5
    for keys in (first, again):
        assert client.get(f"{MOUNT}v1/models", headers={"X-API-Key": keys["api_key"]}).status_code == 200


def test_the_callback_secret_is_the_one_that_signs_from_now_on(client: Client, tenant: Tenant) -> None:
    keys = issue_site_keys(tenant)
    assert pair(client, pairing.make(tenant).code).json()["callback_secret"] == keys.callback.secret
    successor = rotate(keys.callback.credential)
    assert pair(client, pairing.make(tenant).code).json()["callback_secret"] == successor.secret
    for credential in tenant.credentials.filter(kind="callback"):
        credential.revoke()
    fresh = pair(client, pairing.make(tenant).code).json()["callback_secret"]
    assert fresh not in (keys.callback.secret, successor.secret)
    [stored] = Credential.objects.live().filter(kind="callback")
    assert secrets.decrypt(stored.secret_encrypted) == fresh


def test_an_address_that_guesses_too_often_waits_and_a_good_code_still_passes(
    client: Client, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(anonymous, "_blocked_until_s", {})
    network = {"REMOTE_ADDR": "203.0.113.77"}
    body = {"code": "AAAA-AAAA-AAAA-AAAA-AAAA", "site_url": "https://blog.example.org"}
    for _ in range(300):
        anonymous.note_failed_auth(network["REMOTE_ADDR"])
    assert client.post(URL, body, content_type="application/json", **network).status_code == 401
    response = client.post(URL, body, content_type="application/json", **network)
    check_shape(response, "v1/pair", 429, "rate_limited")
    assert 0 < int(response["Retry-After"]) <= 300
    body["code"] = pairing.make(tenant).code
    assert client.post(URL, body, content_type="application/json", **network).status_code == 200


def test_no_secret_and_no_code_is_logged(client: Client, tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    code = pairing.make(tenant).code
    keys = pair(client, code).json()
    refused(pair(client, code))
    for secret in (code, keys["signing_secret"], keys["api_key"], keys["callback_secret"]):
        assert secret not in caplog.text
    assert "site paired" in caplog.text


def test_when_the_keys_can_not_be_made_the_code_is_not_spent(client: Client, tenant: Tenant, settings: Any) -> None:
    code, right = pairing.make(tenant).code, settings.DJANGO_WP_AI
    settings.DJANGO_WP_AI = {**right, "ENCRYPTION_KEYS": ["no fernet key"]}
    client.raise_request_exception = False
    assert pair(client, code).status_code == 500
    settings.DJANGO_WP_AI = right
    assert pair(client, code).status_code == 200


def test_a_proof_in_the_headers_changes_nothing(client: Client, site: Site, tenant: Tenant) -> None:
    body = {"code": pairing.make(tenant).code, "site_url": tenant.site_url}
    response = site.post("v1/pair", body, headers={"Authorization": "Bearer nonsense"})
    assert response.json()["tenant"] == "blog"


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_of_fifty_at_once_one_gets_the_keys() -> None:
    tenant = TenantFactory.create(site_url="https://blog.example.org")
    code = pairing.make(tenant).code
    start = Barrier(50)

    def attempt(_: int) -> Any:
        start.wait()
        try:
            return pair(Client(), code)
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        statuses = [response.status_code for response in pool.map(attempt, range(50))]
    assert sorted(statuses) == [200, *[401] * 49]
    assert Credential.objects.for_tenant(tenant).count() == 3
