"""Endpoints that fail for days or are gone: switched off, told of once, on again by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now

from django_wp_ai import tasks
from django_wp_ai.callbacks import alerts
from django_wp_ai.callbacks.endpoints import disable, enable, endpoint_for, failed, succeeded
from django_wp_ai.callbacks.noting import Outcome
from django_wp_ai.models import Callback, CallbackEndpoint, Tenant
from django_wp_ai.security.issue import Issued
from tests.flows.callbacks.conftest import SetUp, deliver_due, fresh, make_due, put
from tests.flows.callbacks.receiver import Receiver, status

pytestmark = pytest.mark.django_db(transaction=True)


def move(endpoint: CallbackEndpoint, **times: timedelta) -> None:
    """Let something have happened so long ago."""
    CallbackEndpoint.objects.filter(pk=endpoint.pk).update(**{name: Now() - ago for name, ago in times.items()})


def current(endpoint: CallbackEndpoint) -> CallbackEndpoint:
    return CallbackEndpoint.objects.get(pk=endpoint.pk)


@pytest.fixture
def endpoint(site: Tenant) -> CallbackEndpoint:
    return endpoint_for(site, "https://blog.example.org/hook?token=CANARY")


def test_an_endpoint_that_fails_for_five_days_is_switched_off_with_what_waits(
    site: Tenant, secret: Issued, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [status(500)]
    callback, other = put(site, receiver), put(site, receiver)
    deliver_due()
    move(callback.endpoint, failing_since=timedelta(days=4, hours=23))
    make_due(callback)
    deliver_due()
    assert current(callback.endpoint).disabled_at is None
    move(callback.endpoint, failing_since=timedelta(days=5, seconds=1))
    make_due(callback)
    deliver_due()
    off = current(callback.endpoint)
    assert (off.disabled_reason, off.disabled_at is not None) == ("failing", True)
    for dead in (callback, other):
        assert (fresh(dead).state, fresh(dead).last_error) == ("dead", "endpoint_disabled")
    assert fresh(callback).last_status == 500
    assert caplog.text.count(f"endpoint {off.pk} of tenant {site.slug} is off: it failed for too long") == 1


def test_the_number_of_days_is_a_setting(endpoint: CallbackEndpoint, configure: SetUp) -> None:
    configure(CALLBACK_DISABLE_DAYS=1)
    assert not failed(endpoint)
    move(endpoint, failing_since=timedelta(days=1, seconds=1))
    assert failed(endpoint)


def test_a_success_ends_what_failed_before_it(endpoint: CallbackEndpoint) -> None:
    failed(endpoint)
    move(endpoint, failing_since=timedelta(days=9))
    succeeded(endpoint)
    assert current(endpoint).failing_since is None
    assert not failed(endpoint)


def test_a_success_is_written_once_a_minute(endpoint: CallbackEndpoint) -> None:
    succeeded(endpoint)
    first = current(endpoint).last_success_at
    succeeded(endpoint)
    assert current(endpoint).last_success_at == first
    move(endpoint, last_success_at=timedelta(minutes=2))
    succeeded(endpoint)
    assert current(endpoint).last_success_at != first


def test_a_failure_long_after_the_last_one_begins_anew(endpoint: CallbackEndpoint) -> None:
    failed(endpoint)
    move(endpoint, failing_since=timedelta(days=9), last_failure_at=timedelta(days=6))
    assert not failed(endpoint)
    assert current(endpoint).failing_since == current(endpoint).last_failure_at


@pytest.mark.parametrize("reason", ["gone", "failing"])
def test_operators_are_mailed_once(site: Tenant, endpoint: CallbackEndpoint, reason: str) -> None:
    Tenant.objects.filter(pk=site.pk).update(alert_emails=["ops@example.org"])
    assert disable(endpoint, reason=reason)
    assert not disable(endpoint, reason="failing")
    assert tasks.send_alerts() == 1
    assert tasks.send_alerts() == 0
    [message] = mail.outbox
    assert message.to == ["ops@example.org"]
    assert message.subject == f"[{site.slug}] A callback endpoint is switched off"
    assert "https://blog.example.org/hook?…" in message.body
    assert "CANARY" not in message.body
    assert current(endpoint).alert_due_at is None


def test_what_an_operator_switched_off_is_told_nobody(site: Tenant, endpoint: CallbackEndpoint) -> None:
    Tenant.objects.filter(pk=site.pk).update(alert_emails=["ops@example.org"])
    assert disable(endpoint, reason="operator")
    assert alerts.send_pending() == 0
    assert not mail.outbox


def test_without_an_address_the_log_is_all(endpoint: CallbackEndpoint) -> None:
    disable(endpoint, reason="gone")
    assert alerts.send_pending() == 0
    assert current(endpoint).alert_due_at is None


def test_a_mail_that_fails_is_sent_later_and_given_up_after_a_day(
    site: Tenant, endpoint: CallbackEndpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("nobody answers")

    Tenant.objects.filter(pk=site.pk).update(alert_emails=["ops@example.org"])
    disable(endpoint, reason="gone")
    with monkeypatch.context() as patch:
        patch.setattr(alerts.EmailMessage, "send", broken)
        assert alerts.send_pending() == 0
        assert alerts.send_pending() == 0  # not at once again
        assert caplog.text.count("could not be mailed (OSError)") == 1
        move(endpoint, alert_due_at=timedelta(seconds=1))
        assert alerts.send_pending() == 0
        assert current(endpoint).alert_due_at
    move(endpoint, alert_due_at=timedelta(seconds=1))
    assert alerts.send_pending() == 1
    move(endpoint, alert_due_at=timedelta(seconds=1), disabled_at=timedelta(days=2))
    monkeypatch.setattr(alerts.EmailMessage, "send", broken)
    assert alerts.send_pending() == 0
    assert current(endpoint).alert_due_at is None


def test_an_endpoint_that_is_on_again_takes_what_comes_then(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    callback = put(site, receiver)
    disable(callback.endpoint, reason="gone")
    assert enable(callback.endpoint)
    assert not enable(callback.endpoint)
    on = current(callback.endpoint)
    assert (on.disabled_at, on.disabled_reason, on.failing_since, on.alert_due_at) == (None, "", None, None)
    later = put(site, receiver)
    assert deliver_due() == 1
    assert (fresh(callback).state, fresh(later).state) == ("dead", "delivered")


def test_an_attempt_that_was_on_its_way_may_still_arrive(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    from django_wp_ai.callbacks.claims import claim
    from django_wp_ai.callbacks.noting import note

    arrives, fails = put(site, receiver), put(site, receiver)
    claims = {one.callback.pk: one for one in claim(at_most=2)}
    disable(arrives.endpoint, reason="gone")
    assert note(claims[arrives.pk], Outcome(status=200, latency_ms=3))
    assert note(claims[fails.pk], Outcome(status=500, error="bad_status"))
    assert fresh(arrives).state == "delivered"
    assert (fresh(fails).state, fresh(fails).last_error) == ("dead", "endpoint_disabled")
    assert not Callback.objects.filter(state="pending").exists()
