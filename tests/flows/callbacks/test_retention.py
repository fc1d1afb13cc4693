"""How long callbacks are kept, and what is left of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai import tasks
from django_wp_ai.callbacks import outbox, retention
from django_wp_ai.models import Callback, CallbackAttempt, Tenant
from tests.factories import TenantFactory
from tests.flows.callbacks.jobs import ended_job

pytestmark = pytest.mark.django_db

NOW = timezone.now()


def ended(tenant: Tenant, *, days: float, **fields: Any) -> Callback:
    """A callback that was delivered so long ago."""
    callback = outbox.put(tenant, url="https://blog.example.org/hook", type="thing.done", data={}, end_user="42")
    at = NOW - timedelta(days=days)
    Callback.objects.filter(pk=callback.pk).update(**{"state": "delivered", "ended_at": at, "created_at": at, **fields})
    CallbackAttempt.objects.create(callback=callback, number=1, status=200, excerpt="thanks")
    return callback


def test_callbacks_go_when_their_tenants_days_are_over() -> None:
    short, long = TenantFactory.create(job_days=7), TenantFactory.create(job_days=90)
    gone, kept = ended(short, days=8), [ended(short, days=6), ended(long, days=89)]
    assert tasks.tidy()["callbacks"] == 1
    assert set(Callback.objects.all()) == set(kept)
    assert not CallbackAttempt.objects.filter(callback=gone.pk).exists()


def test_a_tenant_that_keeps_figures_loses_the_texts() -> None:
    callback = ended(TenantFactory.create(job_days=7, job_retention="anonymise"), days=8)
    assert retention.purge_expired(NOW) == 1
    assert retention.purge_expired(NOW) == 0
    callback.refresh_from_db()
    assert (bytes(callback.body_sealed), callback.end_user, callback.state) == (b"", "", "delivered")
    [attempt] = callback.attempt_log.all()
    assert (attempt.status, attempt.excerpt) == (200, "")


def test_more_than_a_batch_goes_in_one_run() -> None:
    tenant = TenantFactory.create(job_days=7)
    for _ in range(5):
        ended(tenant, days=8)
    assert retention.purge_expired(NOW, batch=2) == 5
    assert not Callback.objects.exists()


def test_what_waits_is_kept_unless_its_tenant_is_not_active() -> None:
    active, inactive = TenantFactory.create(job_days=7), TenantFactory.create(job_days=7, is_active=False)
    waiting = [ended(tenant, days=8, state="pending", ended_at=None) for tenant in (active, inactive)]
    retention.purge_expired(NOW)
    states = [Callback.objects.get(pk=callback.pk).state for callback in waiting]
    assert states == ["pending", "cancelled"]


def test_a_callback_whose_job_is_deleted_is_still_told() -> None:
    job = ended_job(result={"content": "hi"})
    callback = outbox.job_ended(job)
    assert callback is not None
    job.delete()
    callback.refresh_from_db()
    assert (callback.job_id, callback.state) == (None, "pending")
