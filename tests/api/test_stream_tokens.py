"""One-time stream tokens end to end: made by a site's server, spent by a visitor's browser."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import MOUNT, Site, body_of, events
from tests.api.refusals import check_shape, row_counts
from tests.factories import TenantFactory
from tests.signing import fresh_claims, hs256

STREAM = "v1/chat/stream"


def minted(site: Site, **wished: Any) -> dict[str, Any]:
    response = site.post("v1/stream-tokens", wished)
    assert response.status_code == 200, response.content
    reply: dict[str, Any] = response.json()
    return reply


def wordpress_token(site: Site, **claims: Any) -> str:
    jwt = site.keys.jwt
    claims = {"aud": "stream", "jti": "one", "sub": "42", **claims}
    return hs256(jwt.secret, fresh_claims(**claims), kid=jwt.credential.key_id)


def by_get(site: Site, token: str) -> Any:
    return site.client.get(MOUNT + STREAM, {"q": "Hi", "token": token})


def by_get_header(site: Site, token: str) -> Any:
    return site.client.get(MOUNT + STREAM, {"q": "Hi"}, headers={"Authorization": f"Bearer {token}"})


def by_post(site: Site, token: str) -> Any:
    return site.post(STREAM, {"prompt": "Hi"}, headers={"Authorization": f"Bearer {token}"})


WAYS = [by_get, by_get_header, by_post]
Way = Callable[[Site, str], Any]


def test_a_minted_token_tells_where_and_until_when_it_is_good(site: Site) -> None:
    reply = minted(site, ttl_s=120)

    assert set(reply) == {"token", "expires_at", "url"}
    assert reply["url"] == f"http://testserver{MOUNT}{STREAM}"
    left_s = (datetime.fromisoformat(reply["expires_at"]) - datetime.now(UTC)).total_seconds()
    assert 100 < left_s <= 120


@pytest.mark.parametrize("way", WAYS)
def test_a_token_opens_one_stream_and_no_second(site: Site, way: Way) -> None:
    token = minted(site)["token"]
    first = way(site, token)
    assert first.status_code == 200
    assert events(body_of(first))[-1].data == "[DONE]"

    for again in WAYS:
        check_shape(again(site, token), STREAM, 401, "unauthenticated")
    assert len(site.usage()) == 1


@pytest.mark.parametrize("way", WAYS)
def test_wordpress_mints_a_token_itself(site: Site, way: Way) -> None:
    token = wordpress_token(site)
    assert body_of(way(site, token)).endswith(b"data: [DONE]\n\n")

    check_shape(way(site, token), STREAM, 401, "unauthenticated")
    [row] = site.usage()
    assert (row.end_user, row.credential) == ("42", site.keys.jwt.credential)


@pytest.mark.parametrize("claims", [{"jti": None}, {"exp": int(time.time()) - 60}, {"aud": "other"}, {"exp": 2**40}])
def test_a_wordpress_token_that_is_not_right_opens_nothing_by_query(site: Site, claims: dict[str, Any]) -> None:
    before = row_counts()
    check_shape(by_get(site, wordpress_token(site, **claims)), STREAM, 401, "unauthenticated")
    assert row_counts() == {**before, "AuthFailureCount": 1}


def test_the_end_user_of_the_token_goes_to_the_ledger_whatever_the_browser_says(site: Site) -> None:
    token = minted(site, end_user="visitor-7")["token"]
    body = {"prompt": "Hi", "metadata": {"end_user": "admin"}}
    body_of(site.post(STREAM, body, headers={"Authorization": f"Bearer {token}"}))

    [row] = site.usage()
    assert (row.end_user, row.route, row.streamed) == ("visitor-7", "chat/stream", True)


@pytest.mark.parametrize("ttl_s", [0, -1, 301, 10**30, "60", 1.5, True, None])
def test_a_lifetime_out_of_bounds_or_of_another_type_is_refused(site: Site, ttl_s: Any) -> None:
    response = site.post("v1/stream-tokens", {"ttl_s": ttl_s})
    problem = check_shape(response, "v1/stream-tokens", 422, "invalid")
    assert problem["errors"][0]["field"] == "ttl_s"


@pytest.mark.parametrize(
    "wished",
    [{"max_requests": 2}, {"max_requests": 0}, {"scope": "stream"}, {"scope": ""}, {"end_user": "x" * 129}, {"a": 1}],
)
def test_a_wish_that_is_not_offered_is_refused(site: Site, wished: dict[str, Any]) -> None:
    check_shape(site.post("v1/stream-tokens", wished), "v1/stream-tokens", 422, "invalid")


def test_the_longest_lifetime_is_given(site: Site) -> None:
    assert body_of(by_get(site, minted(site, ttl_s=300)["token"]))


def test_a_token_of_another_scope_opens_no_chat(site: Site) -> None:
    check_shape(by_get(site, minted(site, scope="rag.read")["token"]), STREAM, 403, "forbidden")


@pytest.mark.parametrize("scopes", [["chat"], ["stream"]])
def test_a_site_gives_no_token_for_what_it_may_not_do(site: Site, scopes: list[str]) -> None:
    credential = site.keys.api_key.credential
    credential.scopes = scopes
    credential.save()
    check_shape(site.post("v1/stream-tokens", {"scope": "chat"}), "v1/stream-tokens", 403, "forbidden")


@pytest.mark.parametrize("way", WAYS)
def test_a_token_dies_with_the_credential_that_asked_for_it(site: Site, way: Way) -> None:
    token = minted(site)["token"]
    site.keys.api_key.credential.revoke()
    check_shape(way(site, token), STREAM, 401, "unauthenticated")


def test_a_token_dies_with_its_tenant(site: Site) -> None:
    token = minted(site)["token"]
    Tenant.objects.filter(pk=site.tenant.pk).update(is_active=False)
    check_shape(by_get(site, token), STREAM, 401, "unauthenticated")


def test_an_expired_token_is_refused(site: Site) -> None:
    token = minted(site, ttl_s=1)["token"]
    while time.time() < datetime.fromisoformat(minted_until(token)).timestamp():
        time.sleep(0.05)
    check_shape(by_get(site, token), STREAM, 401, "unauthenticated")


def minted_until(token: str) -> str:
    """When a token ends, read from it as anybody can."""
    import jwt

    claims = jwt.decode(token.removeprefix("wpst_"), options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"] + 1, UTC).isoformat()


@pytest.mark.parametrize(
    "token",
    ["", "wpst_", "wpst_a.b.c", "\x00", "x" * 9000, "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")],
)
def test_what_is_no_token_opens_nothing(site: Site, token: str) -> None:
    check_shape(by_get(site, token), STREAM, 401, "unauthenticated")


def test_one_changed_byte_spoils_a_token(site: Site) -> None:
    token = minted(site)["token"]
    head, payload, signature = token.split(".")
    for changed in (f"{head}.{payload[:-2]}.{signature}", f"{head}.{payload}.{signature[:-2]}"):
        check_shape(by_get(site, changed), STREAM, 401, "unauthenticated")
    assert body_of(by_get(site, token))


def test_a_token_counts_nowhere_but_on_streams(site: Site) -> None:
    token = minted(site)["token"]
    headers = {"Authorization": f"Bearer {token}"}
    for path, body in (("v1/chat", {"prompt": "Hi"}), ("v1/stream-tokens", {}), ("v1/chat/completions", {})):
        check_shape(site.post(path, body, headers=headers), path, 401, "unauthenticated")
        check_shape(site.post(f"{path}?token={token}", body, headers={}), path, 401, "unauthenticated")
    check_shape(site.get(f"v1/models?token={token}", headers={}), "v1/models", 401, "unauthenticated")
    assert body_of(by_get(site, token))


def test_a_post_takes_no_token_from_its_query(site: Site) -> None:
    token = minted(site)["token"]
    response = site.post(f"{STREAM}?token={token}", {"prompt": "Hi"}, headers={})
    check_shape(response, STREAM, 401, "unauthenticated")


def test_an_api_key_in_the_query_is_never_taken(site: Site) -> None:
    check_shape(by_get(site, site.keys.api_key.secret), STREAM, 401, "unauthenticated")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("mint", ["ours", "wordpress"])
def test_of_twenty_at_once_with_one_token_one_passes(mint: str) -> None:
    tenant = TenantFactory.create()
    site = Site(tenant, issue_site_keys(tenant), Client())
    token = minted(site)["token"] if mint == "ours" else wordpress_token(site, jti="raced")

    def spend(_: int) -> int:
        try:
            response = Client().get(MOUNT + STREAM, {"q": "Hi", "token": token})
            if response.status_code == 200:
                body_of(response)
            return response.status_code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(20) as threads:
        assert sorted(threads.map(spend, range(20))) == [200] + [401] * 19
    assert UsageEvent.objects.for_tenant(tenant).count() == 1
