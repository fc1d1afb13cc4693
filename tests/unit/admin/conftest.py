from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from django_wp_ai.jobs import payload
from django_wp_ai.models import Callback, CallbackAttempt, CallbackEndpoint, Job, Tenant, UsageEvent
from tests.factories import TenantFactory

#: What users of a site said, and what opens its door: no page shows it.
CANARY = "canary-words"

MODELS = (
    "tenant",
    "credential",
    "usageevent",
    "job",
    "callback",
    "callbackendpoint",
    "inboundevent",
    "document",
    "siteindex",
    "authfailurecount",
    "prompttemplate",
    "conversation",
)


@pytest.fixture
def log_in(db: None) -> Callable[..., Client]:
    """A client of a staff member with exactly the permissions named, such as ``view_tenant``; checks CSRF on demand."""

    def log_in(*permissions: str, csrf: bool = False) -> Client:
        user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="django_wp_ai", codename__in=permissions)
        )
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def viewer(log_in: Callable[..., Client]) -> Client:
    """May look at everything and change nothing."""
    return log_in(*(f"view_{model}" for model in MODELS))


@pytest.fixture
def used() -> Callable[..., UsageEvent]:
    """Makes usage rows."""

    def used(tenant: Tenant, *, at: datetime | None = None, pending: bool = False, **fields: Any) -> UsageEvent:
        at = at or timezone.now()
        state = {} if pending else {"state": "settled", "settled_at": at}
        defaults = {"route": "chat", "provider": "openai", "model": "gpt-4o-mini"}
        return UsageEvent.objects.create(tenant=tenant, created_at=at, **{**defaults, **state, **fields})

    return used


@pytest.fixture
def made_job(db: None) -> Callable[..., Job]:
    """Makes jobs that hold words of users."""

    def made_job(status: str = "queued", **fields: Any) -> Job:
        now = timezone.now()
        ended = status in ("succeeded", "failed", "cancelled")
        values: dict[str, Any] = {
            "tenant": fields.get("tenant") or TenantFactory.create(),
            "kind": "summary",
            "input_sealed": payload.seal({"text": CANARY}),
            "result_sealed": payload.seal({"text": CANARY}) if ended else None,
            "metadata": {"title": CANARY},
            "callback_context": {"note": CANARY},
            "callback_url": f"https://hooks.example.org/in/{CANARY}-and-twenty-more?token={CANARY}",
            "finished_at": now if ended else None,
            "lease_until": now + timedelta(hours=1) if status == "running" else None,
        }
        return Job.objects.create(status=status, **{**values, **fields})

    return made_job


@pytest.fixture
def made_callback(made_job: Callable[..., Job]) -> Callable[..., Callback]:
    """Makes callbacks with one attempt, of a job unless told otherwise."""

    def made_callback(state: str = "delivered", *, job: Job | None = None, **fields: Any) -> Callback:
        job = job or made_job("succeeded")
        endpoint, _ = CallbackEndpoint.objects.get_or_create(
            tenant=job.tenant, url_hash="a", defaults={"url": f"https://hooks.example.org/in?token={CANARY}"}
        )
        now = timezone.now()
        when = {"next_attempt_at": now + timedelta(hours=2)} if state == "pending" else {"ended_at": now}
        values = {"type": "job.succeeded", "profile": "standard", "body_sealed": payload.seal(CANARY), "attempts": 1}
        callback = Callback.objects.create(
            tenant=job.tenant,
            endpoint=endpoint,
            job=job,
            state=state,
            **{**values, "sequence": job.callbacks.count(), **when, **fields},
        )
        CallbackAttempt.objects.create(
            callback=callback, number=1, status=503, latency_ms=1500, excerpt="<b>Down for maintenance</b>"
        )
        return callback

    return made_callback
