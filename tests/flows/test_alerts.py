"""Budget alerts on their way: mail, webhook, several workers, failures."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core import mail
from django.db import connection
from django.utils import timezone

from django_wp_ai import tasks
from django_wp_ai.gateway import alerts
from django_wp_ai.models import BudgetAlert, Credential, Tenant
from django_wp_ai.security import webhook_signatures
from django_wp_ai.security.issue import rotate
from tests.factories import TenantFactory, make_credential

pytestmark = pytest.mark.django_db

MARCH = datetime(2026, 3, 1, tzinfo=UTC)


class Receiver:
    """The site's end of the alert URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.status = 204
        self.received: list[tuple[dict[str, str], bytes]] = []


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(receiver.status)
            if receiver.status == 302:
                self.send_header("location", f"{receiver.url}elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/")
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def alert(tenant: Tenant, **fields: Any) -> BudgetAlert:
    """An alert that waits to be sent."""
    defaults = {"kind": "month", "level": "near", "budget_usd": Decimal(5), "spent_usd": Decimal("4.01")}
    return BudgetAlert.objects.create(tenant=tenant, starts_at=MARCH, **{**defaults, **fields})


def again() -> int:
    """Send what is due, as if the wait since the last attempt were over."""
    BudgetAlert.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    return alerts.send_pending()


def test_an_alert_is_mailed_and_posted_once(receiver: Receiver) -> None:
    tenant = TenantFactory(alert_emails=["ops@example.org", "boss@example.org"], alert_url=receiver.url)
    secret = make_credential("callback", tenant=tenant).secret
    sent = alert(tenant, subject="end_user:7")
    assert tasks.send_alerts() == 1
    assert again() == 0

    [message] = mail.outbox
    assert message.to == ["ops@example.org", "boss@example.org"]
    assert message.subject == f"[{tenant.slug}] 80 % of the monthly budget is used"
    assert "Budget: 5.00 USD\nSpent: 4.01 USD\nSince: 2026-03-01 00:00 UTC" in message.body
    assert "Budget for: end_user:7" in message.body
    [(headers, body)] = receiver.received
    webhook_signatures.verify(body, [secret], headers, now=int(timezone.now().timestamp()))
    assert headers["webhook-id"] == f"budget-alert-{sent.pk}"
    assert headers["content-type"] == "application/json"
    event = json.loads(body)
    assert event["type"] == "budget.alert"
    assert event["data"] == {
        "tenant": tenant.slug,
        "level": "near",
        "subject": "end_user:7",
        "period": "month",
        "period_starts_at": "2026-03-01T00:00:00+00:00",
        "budget_usd": "5.0000",
        "spent_usd": "4.010000000",
    }
    sent.refresh_from_db()
    assert sent.notified_at
    assert sent.attempts == 1


def test_a_soft_budgets_mail_says_so() -> None:
    alert(TenantFactory(alert_emails=["ops@example.org"]), level="soft", kind="day")
    alerts.send_pending()
    assert "The soft daily budget is used" in mail.outbox[0].subject


def test_an_alert_that_nobody_wants_is_done_with() -> None:
    alert(TenantFactory())
    assert alerts.send_pending() == 1
    assert not mail.outbox


def test_while_a_secret_is_rotated_both_sign(receiver: Receiver) -> None:
    tenant = TenantFactory(alert_url=receiver.url)
    old = make_credential("callback", tenant=tenant)
    new = rotate(Credential.objects.get(pk=old.credential.pk))
    alert(tenant)
    alerts.send_pending()
    [(headers, body)] = receiver.received
    for secret in (old.secret, new.secret):
        webhook_signatures.verify(body, [secret], headers, now=int(timezone.now().timestamp()))


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_webhook_that_fails_is_tried_five_times_and_the_mail_sent_once(
    receiver: Receiver, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = TenantFactory(alert_emails=["ops@example.org"], alert_url=receiver.url)
    make_credential("callback", tenant=tenant)
    receiver.status = status
    waiting = alert(tenant)
    for attempt in range(1, 8):
        assert again() == 0
        waiting.refresh_from_db()
        assert waiting.attempts == min(attempt, 5)
    assert len(receiver.received) == 5
    assert len(mail.outbox) == 1
    assert waiting.notified_at is None
    assert f"answered {status}" in caplog.text
    assert "is given up" in [record for record in caplog.records if record.levelname == "ERROR"][-1].getMessage()


def test_after_a_failure_it_waits_and_then_arrives(receiver: Receiver) -> None:
    tenant = TenantFactory(alert_url=receiver.url)
    make_credential("callback", tenant=tenant)
    receiver.status = 503
    alert(tenant)
    assert alerts.send_pending() == 0
    assert alerts.send_pending() == 0
    assert len(receiver.received) == 1
    receiver.status = 200
    assert again() == 1
    assert receiver.received[0][0]["webhook-id"] == receiver.received[1][0]["webhook-id"]


def test_what_can_not_be_reached_or_signed_is_tried_again_and_holds_no_other_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiving() as gone:
        url = gone.url
    unreachable, unsigned = TenantFactory(alert_url=url), TenantFactory(alert_url=url)
    make_credential("callback", tenant=unreachable)
    unreadable = TenantFactory(alert_url=url)
    lost = make_credential("callback", tenant=unreadable)
    Credential.objects.filter(pk=lost.credential.pk).update(secret_encrypted="gibberish")
    unmailable, quiet = TenantFactory(alert_emails=["ops\nbcc: all@example.org"]), TenantFactory()
    for tenant in (unreachable, unsigned, unreadable, unmailable, quiet):
        alert(tenant)
    assert alerts.send_pending() == 1
    assert BudgetAlert.objects.get(tenant=quiet).notified_at
    for words in ("can't be reached", "no callback credential", "can't be decrypted", "mail could not be sent"):
        assert words in caplog.text
    assert not mail.outbox


def test_an_alert_url_leads_into_a_private_network_only_for_the_tenants_own_hosts(
    receiver: Receiver, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "OUTBOUND_ALLOWED_NETWORKS": []}
    stranger = TenantFactory(alert_url=receiver.url)
    neighbour = TenantFactory(alert_url=receiver.url, callback_hosts=["127.0.0.1"])
    for tenant in (stranger, neighbour):
        make_credential("callback", tenant=tenant)
        alert(tenant)
    assert alerts.send_pending() == 1
    assert [json.loads(body)["data"]["tenant"] for _, body in receiver.received] == [neighbour.slug]
    assert "can't be reached (url_refused)" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_send_each_alert_once(receiver: Receiver) -> None:
    tenant = TenantFactory(alert_url=receiver.url)
    make_credential("callback", tenant=tenant)
    for kind, level in (("day", "near"), ("day", "soft"), ("month", "near"), ("month", "soft")):
        alert(tenant, kind=kind, level=level)
    done: list[int] = []
    begin = threading.Barrier(4)

    def work() -> None:
        begin.wait()
        try:
            done.append(alerts.send_pending())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sum(done) == 4
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == len(receiver.received) == 4
