"""Events from outside: verified before anything else, kept once, never worked on in the request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from django_wp_ai import tasks
from django_wp_ai.jobs import payload
from django_wp_ai.models import AuthFailureCount, InboundEvent
from django_wp_ai.signals import provider_event_received
from tests.api.conftest import MOUNT, Site
from tests.api.refusals import check_shape, row_counts
from tests.api.test_bad_input import BOMB, NOT_JSON
from tests.factories import make_credential
from tests.signing import LEGACY_PROFILES, event_headers, fresh_claims, hs256, legacy_signature, message_signature

SECRET = "whsec_c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
EVENT = {"id": "evt_1", "type": "batch.completed", "data": {"id": "batch_1"}}
BODY = json.dumps(EVENT).encode()
VENDOR, OWN = "webhooks/providers/openai", "webhooks/events"


@pytest.fixture(autouse=True)
def vendors_secret(providers: None, settings: Any) -> None:
    configured = settings.DJANGO_WP_AI["PROVIDERS"]
    hosted = {name: {**configured[name], "webhook_secret": SECRET} for name in ("openai", "anthropic")}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {**configured, **hosted}}


@pytest.fixture
def heard() -> Iterator[list[dict[str, Any]]]:
    """What a receiver was told."""
    found: list[dict[str, Any]] = []

    def listen(**told: Any) -> None:
        found.append(told)

    provider_event_received.connect(listen)
    yield found
    provider_event_received.disconnect(listen)


def from_vendor(client: Client, body: bytes = BODY, *, path: str = VENDOR, headers: Any = None) -> Any:
    sent = event_headers(SECRET, body) if headers is None else headers
    return client.post(MOUNT + path, body, content_type="application/json", headers=sent)


def kept() -> list[tuple[str, str, str, Any]]:
    return [
        (row.source, row.event_id, row.type, payload.unseal(row.payload_sealed))
        for row in InboundEvent.objects.order_by("pk")
    ]


# A vendor's


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.django_db
def test_a_vendors_event_is_kept_once_and_worked_on_later(
    client: Client, heard: list[dict[str, Any]], name: str
) -> None:
    event = EVENT if name == "openai" else {"id": "evt_1", "type": "event", "data": {"type": "batch.completed"}}
    body = json.dumps(event).encode()
    first = from_vendor(client, body, path=f"webhooks/providers/{name}")
    again = from_vendor(client, body, path=f"webhooks/providers/{name}")

    assert (first.status_code, first.json()) == (202, {"status": "received"})
    assert (again.status_code, again.json()) == (200, {"status": "duplicate"})
    assert kept() == [(name, "evt_1", "batch.completed", event)]
    assert not heard

    assert tasks.process_inbound() == 1
    assert [(told["source"], told["type"], told["payload"], told["tenant"]) for told in heard] == [
        (name, "batch.completed", event, None)
    ]


@pytest.mark.django_db
def test_what_the_vendor_did_not_sign_is_refused_and_counted(client: Client) -> None:
    for headers in ({}, {**event_headers(SECRET, BODY), "webhook-signature": "v1,AAAA"}):
        check_shape(from_vendor(client, headers=headers), VENDOR, 401, "unauthenticated")
    assert not InboundEvent.objects.exists()
    assert sum(row.count for row in AuthFailureCount.objects.filter(method="provider_webhook")) == 2


@pytest.mark.parametrize("name", ["offline", "unknown", "open%00ai", "x" * 300, "open%0aai", "..", "%F0%9F%98%80"])
@pytest.mark.django_db
def test_a_provider_without_webhooks_has_no_such_address(client: Client, name: str) -> None:
    path = f"webhooks/providers/{name}"
    check_shape(from_vendor(client, path=path), path, 404, "not_found")


@pytest.mark.django_db
def test_a_signature_is_for_one_vendor(client: Client, settings: Any) -> None:
    configured = settings.DJANGO_WP_AI["PROVIDERS"]
    other = {**configured["anthropic"], "webhook_secret": "whsec_b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIg"}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {**configured, "anthropic": other}}
    assert from_vendor(client).status_code == 202
    refused = from_vendor(client, path="webhooks/providers/anthropic")
    check_shape(refused, VENDOR, 401, "unauthenticated")


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
@pytest.mark.django_db
def test_what_is_no_event_is_refused_signed_or_not(client: Client, body: bytes) -> None:
    before = row_counts()
    check_shape(from_vendor(client, body, headers={}), VENDOR, 401, "unauthenticated")
    signed = from_vendor(client, body)
    assert signed.status_code in (401, 422), signed.content  # 401: text that is not UTF-8 can't have been signed
    assert {**row_counts(), "AuthFailureCount": before["AuthFailureCount"]} == before


@pytest.mark.django_db
def test_a_huge_or_encoded_event_is_refused_before_it_is_verified(client: Client) -> None:
    huge = b'{"id": "' + b"x" * 1_000_000 + b'"}'
    check_shape(from_vendor(client, huge), VENDOR, 413, "too_large")
    headers = {**event_headers(SECRET, BOMB), "Content-Encoding": "gzip"}
    check_shape(from_vendor(client, BOMB, headers=headers), VENDOR, 415, "unsupported_media")


@pytest.mark.parametrize("method", ["get", "put", "delete", "patch"])
@pytest.mark.parametrize("path", [VENDOR, OWN])
@pytest.mark.django_db
def test_events_are_posted(client: Client, path: str, method: str) -> None:
    check_shape(getattr(client, method)(MOUNT + path), path, 405, "method_not_allowed")


@pytest.mark.django_db(transaction=True)
def test_an_event_that_comes_ten_times_at_once_is_received_once() -> None:
    def send(_: int) -> int:
        try:
            return int(from_vendor(Client()).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        statuses = sorted(pool.map(send, range(10)))
    assert statuses == [200] * 9 + [202]
    assert InboundEvent.objects.count() == 1


# A site's own


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_an_event_under_an_older_signature_is_a_duplicate_the_second_time(
    site: Site, heard: list[dict[str, Any]], profile: str
) -> None:
    issued = make_credential("hmac", tenant=site.tenant, profile=profile, scopes=["jobs"])
    stamp = {"timestamp": fresh_claims()["iat"]} if profile == "ai-signature" else {}
    body = json.dumps({**EVENT, **stamp}).encode()
    headers = legacy_signature(profile, issued.secret, body)
    first, again = (site.post(OWN, body, headers=headers) for _ in range(2))

    assert (first.status_code, first.json()) == (202, {"status": "received"})
    assert (again.status_code, again.json()) == (200, {"status": "duplicate"})
    assert kept() == [(issued.credential.key_id, "evt_1", "batch.completed", EVENT)]
    assert tasks.process_inbound() == 1
    [told] = heard
    assert (told["event_id"], told["tenant"]) == ("evt_1", site.tenant)


def test_a_body_that_may_come_again_for_an_event_may_not_for_a_chat(site: Site) -> None:
    issued = make_credential("hmac", tenant=site.tenant, profile="x-aisig")
    headers = legacy_signature("x-aisig", issued.secret, BODY)
    assert [site.post(OWN, BODY, headers=headers).status_code for _ in range(2)] == [202, 200]
    body = b'{"prompt": "Hi"}'
    headers = legacy_signature("x-aisig", issued.secret, body)
    assert [site.post("v1/chat", body, headers=headers).status_code for _ in range(2)] == [200, 401]


def test_an_event_under_a_message_signature_is_taken(site: Site) -> None:
    hmac = site.keys.hmac
    headers = message_signature(hmac.credential.key_id, hmac.secret, path=MOUNT + OWN, body=BODY)
    assert site.post(OWN, BODY, headers=headers).status_code == 202
    check_shape(site.post(OWN, BODY, headers=headers), OWN, 401, "unauthenticated")  # its nonce is spent


def test_ids_of_one_sender_are_not_those_of_another(site: Site) -> None:
    for issued in (make_credential("hmac", profile="x-aisig") for _ in range(2)):
        headers = legacy_signature("x-aisig", issued.secret, BODY)
        assert site.post(OWN, BODY, headers=headers).status_code == 202
    assert InboundEvent.objects.values("tenant").distinct().count() == 2


def test_an_event_needs_a_proof_and_the_scope_jobs(site: Site) -> None:
    before = row_counts()
    check_shape(site.post(OWN, BODY, headers={}), OWN, 401, "unauthenticated")
    check_shape(site.post(OWN, BODY, headers={"X-AISig": "00"}), OWN, 401, "unauthenticated")
    weak = make_credential("hmac", tenant=site.tenant, profile="x-aisig", scopes=["chat"])
    headers = legacy_signature("x-aisig", weak.secret, BODY)
    check_shape(site.post(OWN, BODY, headers=headers), OWN, 403, "forbidden")
    assert row_counts()["InboundEvent"] == before["InboundEvent"]


def test_an_end_users_token_sends_no_events(site: Site) -> None:
    jwt = site.keys.jwt
    token = hs256(jwt.secret, fresh_claims(sub="42"), kid=jwt.credential.key_id)
    response = site.post(OWN, BODY, headers={"Authorization": f"Bearer {token}"})
    check_shape(response, OWN, 403, "forbidden")


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_strict_json_is_no_event(site: Site, body: bytes) -> None:
    before = row_counts()
    check_shape(site.post(OWN, body), OWN, 422, "invalid")
    assert row_counts() == before


@pytest.mark.parametrize(
    "changes",
    [
        {"id": None},
        {"id": ""},
        {"id": 7},
        {"id": "a b"},
        {"id": "é"},
        {"id": "x" * 256},
        {"id": "evt\n"},
        {"type": None},
        {"type": ""},
        {"type": ["a"]},
        {"type": "x" * 101},
    ],
    ids=str,
)
def test_an_event_with_odd_fields_is_refused_by_name(site: Site, changes: dict[str, Any]) -> None:
    problem = check_shape(site.post(OWN, {**EVENT, **changes}), OWN, 422, "invalid")
    assert [error["field"] for error in problem["errors"]] == list(changes)
    assert not InboundEvent.objects.exists()


def test_what_else_an_event_says_is_kept_with_it(site: Site) -> None:
    event = {**EVENT, "created": 1, "livemode": False, "data": [None, {"a": "\u00e9"}]}
    assert site.post(OWN, event).status_code == 202
    assert kept()[0][3] == event
