"""What the commands tell of a job: figures, attempts, steps and callbacks, never what was said."""

from __future__ import annotations

from typing import Any

from django_wp_ai.models import Job

COLUMNS = ("id", "tenant", "kind", "status", "progress", "attempts", "error", "cost_usd", "created_at")
ATTEMPT_COLUMNS = ("number", "outcome", "error", "worker", "started_at", "ended_at")
STEP_COLUMNS = ("name", "state", "sends", "sent_at", "done_at")
CALLBACK_COLUMNS = ("id", "type", "state", "attempts", "last_status", "last_error", "next_attempt_at", "ended_at")


def summary(job: Job) -> dict[str, Any]:
    """One row of the list."""
    return {
        "id": str(job.pk),
        "tenant": job.tenant.slug,
        "kind": job.kind,
        "status": job.status,
        "progress": job.progress,
        "attempts": job.attempts,
        "error": job.error_code,
        "input_tokens": job.input_tokens,
        "output_tokens": job.output_tokens,
        "cost_usd": job.cost_usd,
        "estimated": job.is_estimated,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }


def details(job: Job) -> dict[str, Any]:
    """What else is known of one job, its lists apart."""
    return {
        **summary(job),
        "error_message": job.error_message,
        "max_attempts": job.max_attempts,
        "repeated_calls": job.repeated_calls,
        "provider_ms": job.provider_ms,
        "priority": job.priority,
        "run_after": job.run_after,
        "lease_until": job.lease_until,
        "worker": job.worker,
        "cancel_requested_at": job.cancel_requested_at,
        "anonymised_at": job.anonymised_at,
        "parent": job.parent_id and str(job.parent_id),
        "waiting_for": job.waiting_for,
        "end_user": job.end_user,
        "request_id": job.request_id,
        "idempotency_key": job.idempotency_key,
    }


def lists(job: Job) -> dict[str, list[dict[str, Any]]]:
    """Attempts, steps and callbacks."""
    attempts = [entry for entry in job.timeline if isinstance(entry, dict)]
    return {
        "attempt_log": [{column: entry.get(column) for column in ATTEMPT_COLUMNS} for entry in attempts],
        "steps": list(job.steps.values(*STEP_COLUMNS)),
        "callbacks": [{**row, "id": str(row["id"])} for row in job.callbacks.values(*CALLBACK_COLUMNS)],
    }
