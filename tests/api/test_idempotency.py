"""POSTs that are sent again: the first reply again, on every route, under every proof."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from django_wp_ai.api import idempotency
from django_wp_ai.models import IdempotentReply
from tests.api.conftest import MOUNT, Site, body_of, events
from tests.api.refusals import BODIES, check_shape
from tests.factories import TenantFactory, make_credential
from tests.signing import fresh_claims, hs256, legacy_signature, message_signature
from tests.vendor.running import RunningVendor

VENDORS = {"v1/chat/completions", "v1/messages", "v1/embeddings"}
NATIVE = [path for path in BODIES if path not in VENDORS]
STREAMED = {"v1/chat", "v1/chat/completions", "v1/messages"}
FREE = {"v1/stream-tokens"}
KEY = {"Idempotency-Key": "key-1"}


def content(response: Any) -> bytes:
    return body_of(response) if response.streaming else response.content


def send(site: Site, path: str = "v1/chat", body: Any = None, **headers: str) -> Any:
    """Send with an API key; the reply's content is read."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = site.post(path, {"prompt": "Hi"} if body is None else body, headers={**site.auth, **named})
    response.whole = content(response)
    return response


def by_jwt(site: Site, body: Any = None, *, path: str = "v1/chat", **claims: Any) -> Any:
    jwt = site.keys.jwt
    token = hs256(jwt.secret, fresh_claims(**claims), kid=jwt.credential.key_id)
    response = site.post(path, body or {"prompt": "Hi"}, headers={"Authorization": f"Bearer {token}"})
    response.whole = content(response)
    return response


def check_replay(first: Any, again: Any) -> None:
    assert first.status_code == 200, first.whole
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.whole) == (first.status_code, first.whole)
    assert again["Content-Type"] == first["Content-Type"]
    assert again["X-Request-ID"] != first["X-Request-ID"]


# The same call again


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("path", BODIES)
def test_every_route_gives_its_first_reply_again(site: Site, vendor: RunningVendor, path: str, streamed: bool) -> None:
    body = {**BODIES[path], "stream": True} if streamed and path in STREAMED else BODIES[path]
    first, again = send(site, path, body, **KEY), send(site, path, body, **KEY)

    check_replay(first, again)
    assert len(vendor.requests) == len(site.usage()) == (path not in FREE)


@pytest.mark.parametrize("name", ["idempotency_key", "request_id"])
@pytest.mark.parametrize("path", NATIVE)
def test_a_native_body_may_name_the_key(site: Site, vendor: RunningVendor, path: str, name: str) -> None:
    body = {**BODIES[path], name: "key-1"}
    check_replay(send(site, path, body), send(site, path, body))
    assert send(site, path, BODIES[path], **KEY).has_header("Idempotency-Replayed")
    assert len(vendor.requests) == (path not in FREE)


@pytest.mark.parametrize("path", sorted(VENDORS))
def test_a_vendors_body_has_no_key(site: Site, path: str) -> None:
    response = send(site, path, {**BODIES[path], "idempotency_key": "key-1"})
    again = send(site, path, {**BODIES[path], "idempotency_key": "key-1"})
    assert "Idempotency-Replayed" not in response
    assert "Idempotency-Replayed" not in again


def test_a_tokens_id_is_a_key(site: Site, vendor: RunningVendor) -> None:
    check_replay(by_jwt(site, jti="job-1"), by_jwt(site, jti="job-1"))
    assert by_jwt(site, {"prompt": "Other"}, jti="job-1").status_code == 422
    assert "Idempotency-Replayed" not in by_jwt(site, jti="job-2")
    assert len(vendor.requests) == 2


def test_a_vendors_sdk_may_use_one_token_for_many_calls(site: Site, vendor: RunningVendor) -> None:
    path = "v1/chat/completions"
    for _ in range(2):
        assert "Idempotency-Replayed" not in by_jwt(site, BODIES[path], path=path, jti="job-1")
    assert len(vendor.requests) == 2


def test_the_header_comes_before_the_body_and_the_body_before_the_token(site: Site) -> None:
    both = {"prompt": "Hi", "idempotency_key": "b", "request_id": "c"}
    send(site, body=both, Idempotency_Key="a")
    assert send(site, body={"prompt": "Hi", "idempotency_key": "a"}).has_header("Idempotency-Replayed")
    send(site, body=both)
    assert send(site, Idempotency_Key="b").has_header("Idempotency-Replayed")
    assert not send(site, Idempotency_Key="c").has_header("Idempotency-Replayed")
    assert by_jwt(site, {"prompt": "Hi", "request_id": "c"}, jti="j").has_header("Idempotency-Replayed")


def test_space_and_order_of_a_body_do_not_make_it_another(site: Site) -> None:
    first = send(site, body=b'{"prompt": "Hi", "max_tokens": 9}', **KEY)
    check_replay(first, send(site, body=b'{ "max_tokens":9,"prompt":"\\u0048i" }', **KEY))


def test_a_signed_call_comes_again_with_another_nonce(site: Site, vendor: RunningVendor) -> None:
    body = b'{"prompt": "Hi"}'

    def sign() -> Any:
        hmac = site.keys.hmac
        headers = message_signature(hmac.credential.key_id, hmac.secret, body=body)
        response = site.post("v1/chat", body, headers={**headers, **KEY})
        response.whole = response.content
        return response, headers

    first, headers = sign()
    check_replay(first, sign()[0])
    check_shape(site.post("v1/chat", body, headers={**headers, **KEY}), "v1/chat", 401, "unauthenticated")
    assert len(vendor.requests) == 1


def test_the_timestamp_in_a_legacy_body_does_not_make_it_another(site: Site, vendor: RunningVendor) -> None:
    issued = make_credential("hmac", tenant=site.tenant, profile="ai-signature")

    def sign(age_s: int) -> Any:
        stamp = fresh_claims()["iat"] - age_s
        body = json.dumps({"prompt": "Hi", "timestamp": stamp, "request_id": "r-1"}).encode()
        response = site.post("v1/chat", body, headers=legacy_signature("ai-signature", issued.secret, body))
        response.whole = response.content
        return response

    check_replay(sign(2), sign(1))
    assert len(vendor.requests) == 1


def test_a_replay_costs_nothing(site: Site) -> None:
    site.tenant.rpm = 1
    site.tenant.save()
    first = send(site, **KEY)
    assert "RateLimit" in first
    for _ in range(3):
        again = send(site, **KEY)
        check_replay(first, again)
        assert "RateLimit" not in again
    assert send(site).status_code == 429
    assert len(site.usage()) == 1


def test_what_was_clamped_is_told_again(site: Site) -> None:
    site.tenant.max_tokens_limit = 5
    site.tenant.save()
    body = {"prompt": "Hi", "max_tokens": 100}
    first, again = send(site, body=body, **KEY), send(site, body=body, **KEY)
    assert again["X-WP-AI-Clamped"] == first["X-WP-AI-Clamped"]


def test_a_replay_works_while_a_developer_debugs(site: Site, settings: Any) -> None:
    settings.DEBUG = True
    check_replay(send(site, **KEY), send(site, **KEY))


# Another call


@pytest.mark.parametrize("path", BODIES)
def test_another_body_under_the_same_key_is_refused_in_the_familys_shape(site: Site, path: str) -> None:
    send(site, path, BODIES[path], **KEY)
    name = {"v1/stream-tokens": "ttl_s", "v1/embeddings": "dimensions"}.get(path, "max_tokens")
    other = {**BODIES[path], name: 8}
    check_shape(send(site, path, other, **KEY), path, 422, "invalid")


def test_another_route_or_query_under_the_same_key_is_refused(site: Site) -> None:
    send(site, **KEY)
    check_shape(send(site, "v1/chat/stream", **KEY), "v1/chat/stream", 422, "invalid")
    check_shape(send(site, "v1/chat?x=1", **KEY), "v1/chat", 422, "invalid")


def test_another_site_has_its_own_keys(site: Site, vendor: RunningVendor) -> None:
    send(site, **KEY)
    other = make_credential("api_key", tenant=TenantFactory.create())
    response = site.post("v1/chat", {"prompt": "Hi"}, headers={"X-API-Key": other.secret, **KEY})
    assert "Idempotency-Replayed" not in response
    assert len(vendor.requests) == 2


def test_another_end_user_has_their_own_keys(site: Site, vendor: RunningVendor) -> None:
    assert by_jwt(site, jti="1", sub="42").status_code == by_jwt(site, jti="1", sub="43").status_code == 200
    assert len(vendor.requests) == 2


def test_a_rotated_credential_finds_the_reply_and_a_weaker_one_does_not(site: Site) -> None:
    first = send(site, **KEY)
    rotated = make_credential("api_key", tenant=site.tenant, scopes=sorted(site.keys.api_key.credential.scopes))
    again = site.post("v1/chat", {"prompt": "Hi"}, headers={"X-API-Key": rotated.secret, **KEY})
    assert again.content == first.content
    weaker = make_credential("api_key", tenant=site.tenant, scopes=["usage"])
    refused = site.post("v1/chat", {"prompt": "Hi"}, headers={"X-API-Key": weaker.secret, **KEY})
    check_shape(refused, "v1/chat", 422, "invalid")


# Bad keys


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "caf\u00e9", "a\tb", "\x7f"])
@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/completions", "v1/messages"])
def test_a_key_that_is_none_is_refused(site: Site, vendor: RunningVendor, path: str, key: str) -> None:
    response = send(site, path, BODIES[path], Idempotency_Key=key)
    check_shape(response, path, 422, "invalid")
    assert not vendor.requests


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, 7, True, ["a"], {}, "caf\u00e9"])
@pytest.mark.parametrize("name", ["idempotency_key", "request_id"])
def test_a_key_in_the_body_that_is_none_is_refused_by_name(site: Site, name: str, key: Any) -> None:
    body = check_shape(send(site, body={"prompt": "Hi", name: key}), "v1/chat", 422, "invalid")
    assert body["errors"] == [{"field": name, "message": "1 to 255 visible ASCII characters."}]


@pytest.mark.parametrize("key", ["~", "x" * 255, "4e1788e8-2d6b-4d10-8441-68da83f26f91", '"quoted"'])
def test_a_good_key_may_look_like_anything_visible(site: Site, key: str) -> None:
    check_replay(send(site, Idempotency_Key=key), send(site, Idempotency_Key=key))


def test_null_is_no_key(site: Site, vendor: RunningVendor) -> None:
    for _ in range(2):
        assert send(site, body={"prompt": "Hi", "request_id": None}).status_code == 200
    assert len(vendor.requests) == 2


# Without a key


def test_a_call_without_a_key_asks_the_database_nothing_about_keys(site: Site) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        send(site)
    assert not [query for query in queries if IdempotentReply._meta.db_table in query["sql"]]


def test_reading_calls_know_no_keys(site: Site) -> None:
    for _ in range(2):
        response = site.get("v1/models", headers={**site.auth, **KEY})
        assert "Idempotency-Replayed" not in response
    stream = site.client.get(f"{MOUNT}v1/chat/stream", {"q": "Hi"}, headers={**site.auth, **KEY})
    assert body_of(stream)
    assert not IdempotentReply.objects.exists()


# Errors


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("v1/chat", {"prompt": "Hi", "temperature": 9}, 422),
        ("v1/chat", {"prompt": "Hi", "model": "no-such-model"}, 400),
        ("v1/chat", {"prompt": "Hi [[status=401]]"}, 502),
        ("v1/chat/stream", {"prompt": "Hi [[status=401]]"}, 502),
    ],
)
def test_an_error_leaves_the_key_free(site: Site, path: str, body: Any, status: int) -> None:
    for _ in range(2):
        response = send(site, path, body, **KEY)
        assert response.status_code == status, response.whole
        assert "Idempotency-Replayed" not in response
    assert not IdempotentReply.objects.exists()
    check_replay(send(site, **KEY), send(site, **KEY))


def test_an_error_of_our_own_leaves_the_key_free(site: Site, settings: Any) -> None:
    good = settings.DJANGO_WP_AI
    settings.DJANGO_WP_AI = {**good, "PROVIDERS": {"openai": {"class": "tests.no.such.Provider"}}}
    site.client.raise_request_exception = False
    assert send(site, **KEY).status_code == 500
    assert not IdempotentReply.objects.exists()


def test_a_stream_that_broke_leaves_the_key_free(site: Site, vendor: RunningVendor) -> None:
    body = {"prompt": "Go [[chunks=5 error_after=2]]"}
    for count in (1, 2):
        first = send(site, "v1/chat/stream", body, **KEY)
        assert any(event.name == "error" for event in events(first.whole))
        assert len(vendor.requests) == count
    assert not IdempotentReply.objects.exists()


# Large replies


@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/stream"])
def test_a_reply_too_large_to_keep_arrives_whole_and_is_not_made_again(
    site: Site, vendor: RunningVendor, settings: Any, path: str
) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "IDEMPOTENCY_MAX_BYTES": 300}
    body = {"prompt": "Go [[chunks=60]]"}
    first = send(site, path, body, **KEY)
    assert b"tok1" in first.whole
    assert b"tok60" in first.whole

    refused = send(site, path, body, **KEY)
    assert "too large" in check_shape(refused, path, 409, "conflict")["detail"]
    assert len(vendor.requests) == 1


# A client that leaves


@pytest.mark.parametrize("has_key", [False, True])
async def test_only_a_call_with_a_key_outlives_its_client(has_key: bool) -> None:
    request = RequestFactory().post("/wp-ai/v1/chat")
    began, goes_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    outcomes = []

    async def reply() -> HttpResponse:
        if has_key:
            request.wp_ai_keyed = idempotency.Keyed()
        began.set()
        try:
            await goes_on.wait()
            outcomes.append("answered")
        except asyncio.CancelledError:
            outcomes.append("cancelled")
            raise
        finally:
            ended.set()
        return HttpResponse()

    client = asyncio.create_task(idempotency.outliving(request, reply))
    await began.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    goes_on.set()
    await ended.wait()
    assert outcomes == ["answered" if has_key else "cancelled"]
