"""Standard Webhooks, with the standard's own library as the oracle."""

from __future__ import annotations

import base64
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security.secrets import new_callback_secret
from django_wp_ai.security.webhook_signatures import sign, verify

OLD, NEW = new_callback_secret(), new_callback_secret()
BODY = '{"type": "job.succeeded", "data": {"text": "Grüße"}}'.encode()
NOW = 1_790_000_000


def headers(**changes: str) -> dict[str, str]:
    made = sign(BODY, [OLD], message_id="msg_1", timestamp=NOW)
    return {**made, **{f"webhook-{name}": value for name, value in changes.items()}}


def refusal(sent: dict[str, str], *, now: int = NOW) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        verify(BODY, [OLD], sent, now=now)
    return caught.value


@pytest.mark.parametrize("secret", [OLD, NEW], ids=["old", "new"])
def test_while_a_secret_rotates_a_receiver_with_either_one_accepts(secret: str) -> None:
    made = sign(BODY, [NEW, OLD], message_id="msg_1", timestamp=int(time.time()))
    assert len(made["webhook-signature"].split(" ")) == 2
    Webhook(secret).verify(BODY, made)
    verify(BODY, [secret], made, now=int(time.time()))


def test_what_the_library_signs_verifies() -> None:
    signature = Webhook(OLD).sign("msg_1", datetime.fromtimestamp(NOW, UTC), BODY.decode())
    assert headers()["webhook-signature"] == signature
    verify(BODY, [NEW, OLD], headers(signature=f"v1a,abc v1,AAAA {signature}"), now=NOW)


def test_a_signature_by_another_secret_is_refused_by_both() -> None:
    made = sign(BODY, [NEW], message_id="msg_1", timestamp=int(time.time()))
    assert refusal(made, now=int(time.time())).reason == "signature"
    with pytest.raises(WebhookVerificationError):
        Webhook(OLD).verify(BODY, made)


@pytest.mark.parametrize("name", ["id", "timestamp", "signature"])
def test_a_missing_header_is_named(name: str) -> None:
    assert refusal(headers(**{name: ""})).detail == f"Missing header: webhook-{name}."


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "msg.1"},
        {"id": "a" * 256},
        {"timestamp": "now"},
        {"timestamp": f"{NOW}.0"},
        {"timestamp": f"0{NOW}"},
        {"timestamp": "9" * 400},
        {"signature": "v1,a " * 1000},
    ],
)
def test_a_malformed_header_is_refused(changes: dict[str, str]) -> None:
    assert refusal(headers(**changes)).reason == "malformed"


@pytest.mark.parametrize(
    ("now", "accepted"), [(NOW - 300, True), (NOW + 300, True), (NOW - 301, False), (NOW + 301, False)]
)
def test_the_tolerance_is_five_minutes(now: int, accepted: bool) -> None:
    if accepted:
        verify(BODY, [OLD], headers(), now=now)
    else:
        assert refusal(headers(), now=now).reason == "expired"


@settings(max_examples=60, deadline=None)
@given(signature=st.text(max_size=60), message_id=st.text(max_size=20), timestamp=st.text(max_size=14))
def test_arbitrary_headers_are_refused(signature: str, message_id: str, timestamp: str) -> None:
    refusal({"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature})
    refusal(headers(signature=signature))


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "ü", "a" * 256])
def test_an_id_that_the_standard_does_not_allow_is_not_signed(message_id: str) -> None:
    with pytest.raises(ValueError, match="webhook id"):
        sign(BODY, [OLD], message_id=message_id, timestamp=NOW)


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        OLD.removeprefix("whsec_"),
        "whsec_not base64",
        "whsec_" + base64.b64encode(b"a" * 23).decode(),
        "whsec_" + base64.b64encode(b"a" * 65).decode(),
        "whsec_ü",
    ],
    ids=lambda secret: f"{len(secret)}-characters",
)
def test_a_bad_secret_is_an_error_that_does_not_show_it(secret: str) -> None:
    with pytest.raises(ValueError, match="A webhook secret is whsec_") as caught:
        sign(BODY, [secret], message_id="msg_1", timestamp=NOW)
    assert len(secret) < 7 or secret not in str(caught.value)


def test_without_a_secret_nothing_is_signed() -> None:
    with pytest.raises(ValueError, match="needs a secret"):
        sign(BODY, [], message_id="msg_1", timestamp=NOW)
