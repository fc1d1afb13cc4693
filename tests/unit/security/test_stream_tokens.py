"""Tokens with which a browser opens one stream: ours, and those that WordPress makes."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden, Invalid, Unauthenticated
from django_wp_ai.models import Tenant
from django_wp_ai.security import stream_tokens
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.issue import Issued
from tests.factories import envelope, make_credential
from tests.signing import fresh_claims, hs256

pytestmark = pytest.mark.django_db


def ours(issued: Issued, **options: Any) -> str:
    return stream_tokens.mint(issued.credential, **options).token


def wordpress(issued: Issued, **claims: Any) -> str:
    return hs256(
        issued.secret,
        fresh_claims(**{"aud": "stream", "jti": str(time.monotonic_ns()), **claims}),
        kid=issued.credential.key_id,
    )


both = pytest.mark.parametrize("make", [ours, wordpress])
Make = Callable[..., str]


def open_stream(token: str, *, in_url: bool = True, **parts: Any) -> Principal:
    if in_url:
        return authenticate(envelope(method="GET", body=b"", token=token, is_stream=True, **parts))
    return authenticate(envelope({"Authorization": f"Bearer {token}"}, is_stream=True, **parts))


def refused(token: str, **parts: Any) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        open_stream(token, **parts)
    return caught.value


@both
@pytest.mark.parametrize("in_url", [True, False])
def test_a_token_opens_one_stream(make: Make, in_url: bool) -> None:
    issued = make_credential("jwt")
    token = make(issued)
    principal = open_stream(token, in_url=in_url)
    assert (principal.tenant, principal.method) == (issued.credential.tenant, "stream_token")
    assert refused(token, in_url=in_url).reason == "replayed"
    assert refused(token, in_url=not in_url).reason == "replayed"


@both
@pytest.mark.django_db(transaction=True)
def test_of_many_browsers_with_one_token_one_gets_the_stream(make: Make) -> None:
    token = make(make_credential("jwt"))

    def attempt(_: int) -> bool:
        try:
            open_stream(token)
        except Unauthenticated:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(50))) == 1


@both
def test_a_token_is_good_on_stream_routes_only_and_not_used_up_elsewhere(make: Make) -> None:
    token = make(make_credential("jwt"))
    with pytest.raises(Unauthenticated) as caught:
        authenticate(envelope({"Authorization": f"Bearer {token}"}))
    assert caught.value.reason == "wrong_route"
    open_stream(token)


@both
def test_a_token_in_the_url_of_another_route_is_no_proof(make: Make) -> None:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(envelope(token=make(make_credential("jwt"))))
    assert caught.value.reason == "missing"


@both
def test_a_token_dies_with_its_credential(make: Make) -> None:
    issued = make_credential("jwt")
    token = make(issued)
    issued.credential.revoke()
    refused(token)


@both
def test_a_token_dies_with_its_tenant(make: Make) -> None:
    issued = make_credential("jwt")
    token = make(issued)
    Tenant.objects.filter(pk=issued.credential.tenant_id).update(is_active=False)
    refused(token)


@both
def test_a_token_dies_when_its_credential_expires(make: Make) -> None:
    issued = make_credential("jwt")
    token = make(issued)
    type(issued.credential).objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(token)


@both
def test_a_visitor_may_be_anywhere(make: Make) -> None:
    issued = make_credential("jwt", cidrs=["198.51.100.0/24"])
    assert open_stream(make(issued), ip="203.0.113.200").ip == "203.0.113.200"


def test_the_network_of_a_plain_jwt_still_counts_on_a_stream_route() -> None:
    issued = make_credential("jwt", cidrs=["198.51.100.0/24"])
    with pytest.raises(Forbidden):
        open_stream(hs256(issued.secret, fresh_claims(), kid=issued.credential.key_id), in_url=False)


def test_a_plain_jwt_is_no_stream_token_in_a_url() -> None:
    issued = make_credential("jwt")
    token = hs256(issued.secret, fresh_claims(jti="1"), kid=issued.credential.key_id)
    assert refused(token).reason == "wrong_audience"


def test_an_api_key_is_no_stream_token_in_a_url() -> None:
    refused(make_credential("api_key").secret)


@pytest.mark.parametrize("kind", ["hmac", "jwt", "api_key"])
def test_each_kind_of_credential_may_ask_for_a_token(kind: str) -> None:
    issued = make_credential(kind)
    principal = open_stream(ours(issued, end_user="7"))
    assert (principal.credential, principal.end_user) == (issued.credential, "7")


def test_a_token_carries_no_more_scopes_than_it_asked_for() -> None:
    issued = make_credential("api_key")
    assert open_stream(ours(issued, scopes=["rag.read"])).scopes == {"rag.read", "stream"}


def test_a_token_loses_what_its_credential_loses() -> None:
    issued = make_credential("api_key")
    token = ours(issued, scopes=["chat", "rag.read"])
    type(issued.credential).objects.update(scopes=["chat"])
    assert open_stream(token).scopes == {"chat", "stream"}


def test_a_token_does_not_widen_its_credential() -> None:
    issued = make_credential("api_key", scopes=["stream"])
    with pytest.raises(Forbidden):
        ours(issued, scopes=["chat"])


def test_a_wordpress_token_has_the_scopes_and_user_of_its_credential_and_claims() -> None:
    issued = make_credential("jwt", scopes=["chat"], audience="https://ai.example.org")
    principal = open_stream(wordpress(issued, sub=7, roles=["author"]))
    assert (principal.scopes, principal.end_user, principal.roles) == ({"chat"}, "7", ("author",))


@pytest.mark.parametrize("ttl_s", [0, -1, 301, 10**9])
def test_a_lifetime_outside_the_limits_is_not_given(ttl_s: int) -> None:
    with pytest.raises(Invalid) as caught:
        ours(make_credential("api_key"), ttl_s=ttl_s)
    assert caught.value.param == "ttl_s"


def test_a_token_ends_when_it_says() -> None:
    issued = make_credential("api_key")
    minted = stream_tokens.mint(issued.credential, ttl_s=1)
    while timezone.now() < minted.expires_at + timedelta(seconds=1):
        time.sleep(0.05)
    assert refused(minted.token).reason == "expired"


def test_an_expired_wordpress_token_is_refused() -> None:
    now = int(time.time())
    assert refused(wordpress(make_credential("jwt"), iat=now - 70, exp=now - 10)).reason == "expired"


def test_a_token_outlives_a_change_of_secret_key_by_its_fallback(settings: Any) -> None:
    issued = make_credential("api_key")
    first, second = ours(issued), ours(issued)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-secret-key-another-secret-key-another-0"
    open_stream(first)
    settings.SECRET_KEY_FALLBACKS = []
    assert refused(second).reason == "signature"


def test_a_changed_byte_anywhere_breaks_a_token() -> None:
    token = ours(make_credential("api_key"))
    for position, character in enumerate(token[:-1]):
        refused(token[:position] + ("A" if character != "A" else "B") + token[position + 1 :])


@pytest.mark.parametrize("rest", ["", "a.b.c", "\x00", "\ud800", "ü", "a" * 3000, "eyJhbGciOiJub25lIn0.e30."])
def test_what_only_begins_like_a_token_is_refused(rest: str) -> None:
    refused(stream_tokens.PREFIX + rest)


def test_a_token_is_not_shown_in_its_repr() -> None:
    minted = stream_tokens.mint(make_credential("api_key").credential)
    assert minted.token not in repr(minted)
