"""Attempts against real receivers: what arrives, what counts as a failure, and what becomes of each."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks.webhooks import Webhook

from django_wp_ai.callbacks import outbox
from django_wp_ai.callbacks.schedule import WAITS_S
from django_wp_ai.models import Callback, CallbackAttempt, CallbackEndpoint, Credential, Tenant
from django_wp_ai.security.issue import Issued, rotate
from tests.factories import make_credential
from tests.flows.callbacks.conftest import SetUp, deliver_due, fresh, make_due, put
from tests.flows.callbacks.jobs import ended_job
from tests.flows.callbacks.receiver import Receiver, receiving, status
from tests.unit.security.outbound.certificates import Authority

pytestmark = pytest.mark.django_db(transaction=True)


def waits_for(callback: Callback) -> float:
    """Seconds from the last attempt's note until the next attempt."""
    last = CallbackAttempt.objects.filter(callback=callback).last()
    assert last is not None
    at = fresh(callback).next_attempt_at
    assert at is not None
    return (at - last.created_at).total_seconds()


def assert_waits(callback: Callback, seconds: float) -> None:
    """As long as written or up to a tenth longer; both times are the database's, some milliseconds apart."""
    assert seconds - 0.5 <= waits_for(callback) <= seconds * 1.1 + 30


def test_a_result_arrives_signed_as_standard_webhooks_verify_it(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    job = ended_job(site, result={"content": "Grüße"}, callback_url=receiver.url)
    callback = outbox.job_ended(job)
    assert callback is not None
    assert deliver_due() == 1
    [(headers, body)] = receiver.received
    event = Webhook(secret.secret).verify(body, headers)
    assert event["type"] == "job.succeeded"
    assert event["data"]["result"] == {"content": "Grüße"}
    assert headers["webhook-id"] == callback.message_id
    assert headers["content-type"] == "application/json; charset=utf-8"
    done = fresh(callback)
    assert (done.state, done.attempts, done.last_status, done.last_error) == ("delivered", 1, 200, "")
    assert done.ended_at
    assert done.lease_until is None
    [attempt] = CallbackAttempt.objects.all()
    assert (attempt.number, attempt.status, attempt.error, attempt.excerpt) == (1, 200, "", "ok")
    assert attempt.latency_ms is not None
    assert done.endpoint.last_success_at
    assert deliver_due() == 0


def test_a_receiver_that_fails_for_three_days_gets_it_on_the_schedule_with_one_id(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    receiver.answers = [status(500, body="down")]
    callback = put(site, receiver)
    for number, wait_s in enumerate(WAITS_S[1:], start=1):
        assert deliver_due() == 1
        assert deliver_due() == 0  # not before its time
        assert_waits(callback, wait_s)
        assert (fresh(callback).state, fresh(callback).attempts) == ("pending", number)
        make_due()
    assert sum(WAITS_S) > timedelta(days=3).total_seconds()
    assert deliver_due() == 1
    dead = fresh(callback)
    assert (dead.state, dead.attempts, dead.last_status, dead.last_error) == ("dead", 10, 500, "bad_status")
    make_due()
    assert deliver_due() == 0
    assert len(receiver.received) == 10
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {callback.message_id}
    assert len({body for _, body in receiver.received}) == 1
    for headers, body in receiver.received:
        Webhook(secret.secret).verify(body, headers)
    assert list(CallbackAttempt.objects.values_list("number", flat=True)) == list(range(1, 11))


def test_it_arrives_on_a_later_attempt(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    receiver.answers = [status(500), status(204)]
    callback = put(site, receiver)
    deliver_due()
    assert fresh(callback).endpoint.failing_since
    make_due()
    deliver_due()
    done = fresh(callback)
    assert (done.state, done.attempts) == ("delivered", 2)
    assert done.endpoint.failing_since is None


@pytest.mark.parametrize("code", [429, 503])
def test_a_receiver_that_asks_for_time_gets_it(site: Tenant, secret: Issued, receiver: Receiver, code: int) -> None:
    in_two_hours = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)
    receiver.answers = [
        status(code, retry_after="600"),
        status(code, retry_after=in_two_hours),
        status(code, retry_after="9999999"),
        status(code, retry_after="1"),
        status(code, retry_after="soon"),
    ]
    callback = put(site, receiver)
    for wait_s in (600, 7200, 24 * 3600, WAITS_S[4], WAITS_S[5]):
        deliver_due()
        assert_waits(callback, wait_s)
        make_due()
    assert fresh(callback).attempts == 5


def test_retry_after_of_another_status_is_not_heeded(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    receiver.answers = [status(500, retry_after="600")]
    callback = put(site, receiver)
    deliver_due()
    assert_waits(callback, 5)


def test_410_switches_the_endpoint_off_and_what_waits_becomes_dead_letters(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    receiver.answers = [status(410)]
    gone, waiting = put(site, receiver), put(site, receiver)
    with receiving() as another:
        elsewhere = put(site, another)
        Callback.objects.filter(pk=waiting.pk).update(next_attempt_at=timezone.now() + timedelta(hours=1))
        deliver_due()
    assert (fresh(gone).state, fresh(gone).last_error) == ("dead", "gone")
    assert (fresh(waiting).state, fresh(waiting).last_error) == ("dead", "endpoint_disabled")
    assert fresh(elsewhere).state == "delivered"
    endpoint = fresh(gone).endpoint
    assert (endpoint.disabled_reason, endpoint.disabled_at is not None) == ("gone", True)
    assert not waiting.attempt_log.exists()
    later = put(site, receiver)
    assert fresh(later).state == "dead"
    assert deliver_due() == 0
    assert len(receiver.received) == 1


def test_a_redirect_is_a_failure_and_not_followed(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        receiver.answers = [status(302, location=elsewhere.url)]
        callback = put(site, receiver)
        deliver_due()
        assert elsewhere.connections == 0
    failed = fresh(callback)
    assert (failed.state, failed.last_status, failed.last_error) == ("pending", 302, "redirect")


def test_a_receiver_that_dribbles_its_reply_is_left_after_the_timeout(
    site: Tenant, secret: Issued, receiver: Receiver, configure: SetUp
) -> None:
    async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    configure(CALLBACK_TIMEOUT_S=0.5)
    receiver.answers = [dribble]
    callback = put(site, receiver)
    deliver_due()
    failed = fresh(callback)
    assert (failed.state, failed.last_error, failed.last_status) == ("pending", "timeout", None)


def test_fifty_megabytes_of_reply_are_a_success_of_which_little_is_read(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    written = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n")
        for _ in range(800):
            writer.write(b"flood " * 10_923)
            await writer.drain()
            written += 65_538

    receiver.answers = [flood]
    callback = put(site, receiver)
    deliver_due()
    done = fresh(callback)
    assert (done.state, done.last_status) == ("delivered", 200)
    [attempt] = CallbackAttempt.objects.all()
    assert len(attempt.excerpt) == 500
    assert written < 52_428_800 / 2


def test_a_certificate_that_nobody_trusts_is_a_failure(site: Tenant, secret: Issued, tmp_path: Path) -> None:
    with receiving(tls=Authority(tmp_path).server("127.0.0.1", self_signed=True)) as untrusted:
        callback = put(site, untrusted)
        deliver_due()
        assert untrusted.received == []
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", "tls_failed")


def test_nobody_at_the_address_is_a_failure(site: Tenant, secret: Issued) -> None:
    with receiving() as gone:
        pass
    callback = put(site, gone)
    deliver_due()
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", "connect_failed")


def test_a_private_address_is_refused_unless_it_is_a_callback_host(
    site: Tenant, secret: Issued, receiver: Receiver, configure: SetUp
) -> None:
    configure(OUTBOUND_ALLOWED_NETWORKS=[])
    callback = put(site, receiver)
    deliver_due()
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", "url_refused")
    assert receiver.connections == 0
    Tenant.objects.filter(pk=site.pk).update(callback_hosts=["127.0.0.1"])
    make_due()
    deliver_due()
    assert fresh(callback).state == "delivered"


def test_while_a_secret_rotates_both_sign_the_newer_first(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    new = rotate(Credential.objects.get(pk=secret.credential.pk))
    put(site, receiver)
    deliver_due()
    [(headers, body)] = receiver.received
    first, second = headers["webhook-signature"].split(" ")
    for issued, signature in ((new, first), (secret, second)):
        Webhook(issued.secret).verify(body, headers)
        Webhook(issued.secret).verify(body, {**headers, "webhook-signature": signature})


def test_without_a_secret_nothing_is_sent_and_the_endpoint_is_not_blamed(
    site: Tenant, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    callback = put(site, receiver)
    deliver_due()
    failed = fresh(callback)
    assert (failed.state, failed.last_error, failed.attempts) == ("pending", "no_secret", 1)
    assert failed.endpoint.failing_since is None
    assert receiver.connections == 0
    assert f"tenant {site.slug} could not be sent: no_secret" in caplog.text
    make_credential("callback", tenant=site)
    make_due()
    deliver_due()
    assert fresh(callback).state == "delivered"


@pytest.mark.parametrize(
    ("broken", "code"), [("secret", "secret_unreadable"), ("body", "body_unreadable")], ids=["secret", "body"]
)
def test_what_no_key_opens_is_not_sent(
    site: Tenant, secret: Issued, receiver: Receiver, broken: str, code: str
) -> None:
    callback = put(site, receiver)
    if broken == "secret":
        Credential.objects.filter(pk=secret.credential.pk).update(secret_encrypted="gibberish")
    else:
        Callback.objects.update(body_sealed=b"gibberish")
    deliver_due()
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", code)
    assert receiver.connections == 0


def test_nothing_is_delivered_for_a_tenant_that_is_not_active(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    callback = put(site, receiver)
    Tenant.objects.filter(pk=site.pk).update(is_active=False)
    assert deliver_due() == 0
    Tenant.objects.filter(pk=site.pk).update(is_active=True)
    assert deliver_due() == 1
    assert fresh(callback).state == "delivered"


def test_a_result_that_a_receiver_echoes_is_kept_nowhere(
    site: Tenant, secret: Issued, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    canary = "The canary sings at dawn in Zürich"
    receiver.answers = [
        status(500, body=f"Error in {json.dumps({'content': canary})} near line 3, key {secret.secret}"),
        status(422, body=f"&lt;p&gt;{canary.upper()}&lt;/p&gt; refused"),
    ]
    job = ended_job(site, result={"content": canary}, callback_url=receiver.url)
    callback = outbox.job_ended(job)
    assert callback is not None
    caplog.set_level("DEBUG", logger="django_wp_ai")
    for _ in range(2):
        deliver_due()
        make_due()
    first, second = CallbackAttempt.objects.values_list("excerpt", flat=True)
    assert first == 'Error in {"***"} near line 3, key ***'
    assert second == "<p>***</p> refused"
    row = str(Callback.objects.values().get()) + str(list(CallbackAttempt.objects.values()))
    row += str(list(CallbackEndpoint.objects.values())) + caplog.text
    assert "canary" not in row.lower()
    assert secret.secret not in row
