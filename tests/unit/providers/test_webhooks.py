"""Events of vendors: their SDKs say whether they are real, and nothing odd gets past them."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from hypothesis import given, settings
from hypothesis import strategies as st

from django_wp_ai.exceptions import Invalid, NotFound, Unauthenticated
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.registry import build
from tests.signing import event_headers

SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0"
EVENTS: dict[str, dict[str, Any]] = {
    "openai": {
        "id": "evt_1",
        "object": "event",
        "created_at": 1_750_000_000,
        "type": "batch.completed",
        "data": {"id": "batch_1"},
    },
    "anthropic": {
        "id": "evt_1",
        "type": "event",
        "created_at": "2026-11-01T00:00:00Z",
        "data": {"type": "batch.completed", "id": "batch_1"},
    },
}


@pytest.fixture(params=EVENTS)
def provider(request: pytest.FixtureRequest) -> Provider:
    return build(request.param, {"webhook_secret": SECRET})


def body_of(provider: Provider, **changes: Any) -> bytes:
    return json.dumps({**EVENTS[provider.name], **changes}).encode()


def test_an_event_that_the_vendor_signed_is_told_with_its_id_and_type(provider: Provider) -> None:
    body = body_of(provider)
    event = provider.verify_webhook(body, event_headers(SECRET, body))
    assert (event.id, event.type) == ("evt_1", "batch.completed")
    assert event.payload == json.loads(body)
    assert "batch_1" not in repr(event)


def test_nothing_is_looked_for_in_the_environment(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "whsec_" + "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIg"
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", other)
    monkeypatch.setenv("ANTHROPIC_WEBHOOK_SIGNING_KEY", other)
    body = body_of(provider)
    with pytest.raises(Unauthenticated):
        provider.verify_webhook(body, event_headers(other, body))
    with pytest.raises(NotFound):
        build(provider.name, {}).verify_webhook(body, event_headers(other, body))


def test_a_provider_without_webhooks_has_none() -> None:
    with pytest.raises(NotFound):
        build("offline", {}).verify_webhook(b"{}", {})


@pytest.mark.parametrize(
    "changes",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "é"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,AAAA v2,AAAA"},
        {"webhook-id": ""},
        {"webhook-id": "evt_2"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "inf"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "-1"},
        {"webhook-timestamp": "9" * 5000},
    ],
    ids=str,
)
def test_an_event_with_other_headers_is_refused(provider: Provider, changes: dict[str, str]) -> None:
    body = body_of(provider)
    with pytest.raises(Unauthenticated):
        provider.verify_webhook(body, {**event_headers(SECRET, body), **changes})


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_an_event_without_one_of_the_headers_is_refused(provider: Provider, name: str) -> None:
    body = body_of(provider)
    headers = event_headers(SECRET, body)
    del headers[name]
    with pytest.raises(Unauthenticated):
        provider.verify_webhook(body, headers)


def test_another_body_an_old_one_and_one_by_another_secret_are_refused(provider: Provider) -> None:
    body, now = body_of(provider), int(time.time())
    for headers in (
        event_headers(SECRET, body + b" "),
        event_headers(SECRET, body, timestamp=now - 3600),
        event_headers(SECRET, body, timestamp=now + 3600),
        {**event_headers(SECRET, body, timestamp=now), "webhook-timestamp": str(now - 1)},
        event_headers("whsec_" + "b3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIgb3RoZXIg", body),
    ):
        with pytest.raises(Unauthenticated):
            provider.verify_webhook(body, headers)


@settings(max_examples=60, deadline=None)
@given(body=st.binary(max_size=60), signature=st.text(max_size=60), stamp=st.text(max_size=14))
@pytest.mark.parametrize("name", EVENTS)
def test_arbitrary_events_are_refused(name: str, body: bytes, signature: str, stamp: str) -> None:
    provider = build(name, {"webhook_secret": SECRET})
    headers = {"webhook-id": "e", "webhook-timestamp": str(int(time.time())), "webhook-signature": f"v1,{signature}"}
    for sent in (headers, {**headers, "webhook-timestamp": stamp}):
        with pytest.raises(Unauthenticated):
            provider.verify_webhook(body, sent)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b"[1]",
        b"{}",
        b"{",
        b"not json",
        b'{"id": null}',
        b'{"id": 7, "type": "a", "data": {"type": "a"}}',
        b'{"id": "", "type": "a", "data": {"type": "a"}}',
        b'{"id": "a b", "type": "a", "data": {"type": "a"}}',
        b'{"id": "a\\u0000", "type": "a", "data": {"type": "a"}}',
        b'{"id": "\\ud800", "type": "a", "data": {"type": "a"}}',
        b'{"id": "' + b"x" * 256 + b'", "type": "a", "data": {"type": "a"}}',
        b'{"id": "e", "type": "' + b"x" * 101 + b'", "data": {"type": "' + b"x" * 101 + b'"}}',
        b'{"id": "e", "type": ["a"], "data": {"type": {}}}',
        b'{"id": "e", "data": []}',
        b"[" * 100_000 + b"]" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_signed_and_no_event_is_told_so(provider: Provider, body: bytes) -> None:
    with pytest.raises(Invalid):
        provider.verify_webhook(body, event_headers(SECRET, body))


@pytest.mark.parametrize("secret", ["whsec_", "whsec_?", "c2VjcmV0", "x" * 40, 7, ["whsec_c2VjcmV0"]])
def test_a_secret_that_can_not_be_one_fails_at_the_start(secret: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match="webhook_secret"):
        build("openai", {"webhook_secret": secret})
