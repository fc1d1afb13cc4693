"""Digests: when they are due in a tenant's time zone, what they say, and that each is sent once."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import connection
from django.utils import timezone

from django_wp_ai import tasks
from django_wp_ai.gateway import digests
from django_wp_ai.models import BudgetPeriod, Callback, CallbackEndpoint, Job, Tenant, UsageEvent
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

#: A Wednesday.
NOON = datetime(2026, 3, 18, 12, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)


class Clock:
    """What time it is for everybody."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        monkeypatch.setattr(timezone, "now", lambda: self.now)

    def run_at(self, now: datetime) -> int:
        self.now = now
        return tasks.send_digests()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def refuse(backend: EmailBackend, messages: Any) -> int:
    """A mail server that refuses, and names who was written to."""
    raise OSError("ops@example.org is unknown here")


def site(**fields: Any) -> Tenant:
    return TenantFactory.create(**{"digest": "daily", "alert_emails": ["ops@example.org"], **fields})


def used(tenant: Tenant, at: datetime = YESTERDAY, **fields: Any) -> UsageEvent:
    defaults = {"route": "chat", "provider": "openai", "model": "gpt-4o-mini", "state": "settled", "settled_at": at}
    return UsageEvent.objects.create(tenant=tenant, created_at=at, **{**defaults, **fields})


def job(tenant: Tenant, status: str, at: datetime = YESTERDAY) -> Job:
    return Job.objects.create(tenant=tenant, kind="summary", status=status, finished_at=at)


def dead_callback(tenant: Tenant, at: datetime = YESTERDAY) -> None:
    endpoint, _ = CallbackEndpoint.objects.get_or_create(tenant=tenant, url="https://a.example.org", url_hash="a")
    Callback.objects.create(tenant=tenant, endpoint=endpoint, type="job", profile="p", state="dead", ended_at=at)


def test_a_digest_tells_the_figures_of_the_day_that_ended(clock: Clock) -> None:
    tenant = site(slug="blog", name="The Blog", budget_day_usd=2, budget_month_usd=10, soft_budget_month_usd=5)
    used(tenant, cost_usd=Decimal("0.5"), input_tokens=100, output_tokens=20)
    used(tenant, cost_usd=Decimal("0.25"), input_tokens=10, output_tokens=2, error_code="timeout")
    used(tenant, model="own", input_tokens=1, output_tokens=1)
    used(tenant, cost_usd=Decimal(0), cached=True)
    used(tenant, at=YESTERDAY - timedelta(days=1), cost_usd=Decimal(1))
    used(tenant, at=NOON, cost_usd=Decimal(7))
    used(site(digest="off"), cost_usd=Decimal(9))
    BudgetPeriod.objects.create(tenant=tenant, kind="month", starts_at=datetime(2026, 3, 1, tzinfo=UTC), spent_usd=4)
    for status in ("succeeded", "succeeded", "failed", "cancelled"):
        job(tenant, status)
    job(tenant, "failed", at=NOON)
    dead_callback(tenant)
    dead_callback(tenant, at=NOON)

    assert tasks.send_digests() == 1
    [message] = mail.outbox
    assert message.to == ["ops@example.org"]
    assert message.subject == "[blog] Digest of 2026-03-17"
    assert message.body == (
        "Site: The Blog (blog)\n"
        "Time: 2026-03-17 (UTC)\n"
        "\n"
        "Calls: 4\n"
        "Errors: 1\n"
        "From cache: 1\n"
        "Tokens: 111 in, 23 out\n"
        "Cost: 0.7500 USD, unknown for 1 call\n"
        "\n"
        "Models called most:\n"
        "  openai:gpt-4o-mini: 3 calls, 0.7500 USD\n"
        "  openai:own: 1 call, unknown for 1 call\n"
        "\n"
        "Jobs: 2 succeeded, 1 failed\n"
        "Dead callbacks: 1\n"
        "\n"
        "Daily budget: 0.7500 of 2.00 USD used (38 %)\n"
        "Monthly budget: 4.0000 of 10.00 USD used (40 %)\n"
        "Soft monthly budget: 4.0000 of 5.00 USD used (80 %)\n"
    )


def test_five_models_are_named_those_called_most_first(clock: Clock) -> None:
    tenant = site()
    for number in range(7):
        for _ in range(number + 1):
            used(tenant, model=f"m{number}", cost_usd=Decimal(0))
    tasks.send_digests()
    named = [line.split(":")[1] for line in str(mail.outbox[0].body).splitlines() if line.startswith("  openai:")]
    assert named == ["m6", "m5", "m4", "m3", "m2"]


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [
        ("UTC", datetime(2026, 3, 18, 0, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 3, 17, 15, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2026, 3, 17, 18, 30, tzinfo=UTC)),
        ("America/New_York", datetime(2026, 3, 18, 4, tzinfo=UTC)),
    ],
)
def test_a_day_ends_at_the_tenants_own_midnight(clock: Clock, zone: str, midnight: datetime) -> None:
    tenant = site(timezone=zone, digest_sent_until=midnight - timedelta(days=1))
    used(tenant, at=midnight - timedelta(seconds=1))
    used(tenant, at=midnight - timedelta(days=1))
    used(tenant, at=midnight - timedelta(days=1, seconds=1))
    used(tenant, at=midnight)
    assert clock.run_at(midnight - timedelta(seconds=1)) == 0
    assert clock.run_at(midnight) == 1
    assert mail.outbox[0].subject.endswith("Digest of 2026-03-17")
    assert "Calls: 2\n" in mail.outbox[0].body


def test_a_day_of_23_hours_is_a_whole_day(clock: Clock) -> None:
    tenant = site(timezone="Europe/Berlin")
    used(tenant, at=datetime(2026, 3, 28, 23, tzinfo=UTC))
    used(tenant, at=datetime(2026, 3, 28, 22, 59, tzinfo=UTC))
    used(tenant, at=datetime(2026, 3, 29, 21, 59, tzinfo=UTC))
    assert clock.run_at(datetime(2026, 3, 29, 22, tzinfo=UTC)) == 1
    assert mail.outbox[0].subject.endswith("Digest of 2026-03-29")
    assert "Calls: 2\n" in mail.outbox[0].body


def test_a_week_ends_at_the_tenants_own_monday(clock: Clock) -> None:
    monday = datetime(2026, 3, 15, 23, tzinfo=UTC)
    tenant = site(digest="weekly", timezone="Europe/Berlin", budget_day_usd=1, budget_month_usd=1)
    Tenant.objects.update(digest_sent_until=monday - timedelta(days=7))
    used(tenant, at=monday - timedelta(days=7))
    used(tenant, at=monday - timedelta(seconds=1))
    used(tenant, at=monday)
    assert clock.run_at(monday - timedelta(seconds=1)) == 0
    assert clock.run_at(monday) == 1
    assert mail.outbox[0].subject.endswith("Digest of 2026-03-09 to 2026-03-15")
    assert "Calls: 2\n" in mail.outbox[0].body
    assert "Monthly budget" in mail.outbox[0].body
    assert "Daily budget" not in mail.outbox[0].body
    assert clock.run_at(monday + timedelta(days=6, hours=23)) == 0
    assert clock.run_at(monday + timedelta(days=7)) == 1


def test_a_digest_is_sent_once_and_the_next_one_a_day_later(clock: Clock) -> None:
    tenant = site()
    used(tenant)
    used(tenant, at=NOON)
    assert [clock.run_at(NOON + timedelta(hours=hours)) for hours in range(13)] == [1] + 11 * [0] + [1]
    assert [message.subject[-10:] for message in mail.outbox] == ["2026-03-17", "2026-03-18"]


def test_a_failing_mail_server_is_asked_again_by_the_next_run(
    clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = site()
    used(tenant)
    with monkeypatch.context() as patched, caplog.at_level(logging.WARNING, "django_wp_ai.gateway"):
        patched.setattr(EmailBackend, "send_messages", refuse)
        assert tasks.send_digests() == 0
    assert f"digest of tenant {tenant.slug} could not be mailed (OSError)" in caplog.text
    assert "example.org" not in caplog.text
    assert clock.run_at(NOON + timedelta(minutes=10)) == 0
    assert clock.run_at(NOON + timedelta(hours=1)) == 1
    assert clock.run_at(NOON + timedelta(hours=2)) == 0
    assert len(mail.outbox) == 1


def test_one_that_fails_does_not_keep_the_others_from_theirs(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, fine = site(alert_emails=["broken@example.org"]), site()
    used(broken)
    used(fine)
    send = EmailBackend.send_messages

    def choosy(backend: EmailBackend, messages: Any) -> int:
        if "broken@example.org" in messages[0].to:
            raise OSError("no")
        return send(backend, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", choosy)
    assert tasks.send_digests() == 1
    assert [message.to for message in mail.outbox] == [["ops@example.org"]]


def test_nothing_is_sent_about_a_day_without_anything_and_nobody_looks_again(clock: Clock) -> None:
    tenant = site()
    assert tasks.send_digests() == 0
    used(tenant)  # a row that comes late
    assert clock.run_at(NOON + timedelta(hours=1)) == 0
    assert mail.outbox == []


@pytest.mark.parametrize("happened", [dead_callback, lambda tenant: job(tenant, "failed")])
def test_a_job_or_a_dead_callback_is_something_too(clock: Clock, happened: Any) -> None:
    happened(site())
    assert tasks.send_digests() == 1
    assert "Calls: 0\n" in mail.outbox[0].body


@pytest.mark.parametrize("fields", [{"digest": "off"}, {"alert_emails": []}, {"is_active": False}])
def test_who_wants_none_has_no_address_or_is_inactive_gets_none(clock: Clock, fields: dict[str, Any]) -> None:
    used(site(**fields))
    assert tasks.send_digests() == 0
    assert mail.outbox == []


@pytest.mark.parametrize("change", [{"is_active": False}, {"digest": "off"}, {"digest_next_at": NOON + timedelta(1)}])
def test_a_tenant_that_has_changed_since_it_was_read_is_not_taken(clock: Clock, change: dict[str, Any]) -> None:
    tenant = site()
    Tenant.objects.filter(pk=tenant.pk).update(**change)
    assert not digests._claim(tenant)


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_send_one_mail(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have read the tenant before either claims it."""
    used(site())
    both, claim, sent = threading.Barrier(2), digests._claim, []

    def claim_together(tenant: Tenant) -> bool:
        both.wait()
        return claim(tenant)

    def work() -> None:
        try:
            sent.append(digests.send_due())
        except BaseException:
            both.abort()  # the other would wait for ever
            raise
        finally:
            connection.close()

    monkeypatch.setattr(digests, "_claim", claim_together)
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sent) == [0, 1]
    assert len(mail.outbox) == 1
