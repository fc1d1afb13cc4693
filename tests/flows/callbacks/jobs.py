"""Jobs that have ended, as rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django_wp_ai.jobs import payload
from django_wp_ai.models import Job, Tenant
from tests.factories import TenantFactory

STARTED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FINISHED = datetime(2026, 3, 1, 12, 0, 2, 500_000, tzinfo=UTC)


def ended_job(tenant: Tenant | None = None, *, result: Any = None, **fields: Any) -> Job:
    """A chat that succeeded, unless told otherwise."""
    defaults: dict[str, Any] = {
        "kind": "chat",
        "status": "succeeded",
        "callback_url": "https://blog.example.org/hook",
        "callback_profile": "standard",
        "created_at": STARTED,
        "started_at": STARTED,
        "finished_at": FINISHED,
        "attempts": 1,
        "input_tokens": 30,
        "output_tokens": 12,
    }
    sealed = None if result is None else payload.seal(result)
    return Job.objects.create(tenant=tenant or TenantFactory.create(), result_sealed=sealed, **{**defaults, **fields})
