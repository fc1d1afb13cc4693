"""What a job's page shows below its fields: attempts, steps, callbacks, the jobs of a batch. Never what was said."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from django_wp_ai.admin.display import address, badge, bar, duration, milliseconds
from django_wp_ai.models import Callback, CallbackAttempt, Job, JobStep

MAX_ROWS = 50
OUTCOMES = {
    "succeeded": gettext_lazy("succeeded"),
    "failed": gettext_lazy("failed"),
    "retried": gettext_lazy("failed, tried again"),
    "lost": gettext_lazy("worker lost"),
    "given_back": gettext_lazy("given back"),
    "cancelled": gettext_lazy("cancelled"),
    "waiting": gettext_lazy("waits for its jobs"),
}


def sections(job: Job) -> dict[str, Any]:
    """All of them, in a number of queries that does not depend on the number of rows."""
    return {
        "attempts": [_attempt(entry) for entry in job.timeline if isinstance(entry, dict)],
        "running_on": job.worker if job.status == Job.Status.RUNNING and job.lease_until else "",
        "steps": [_step(step) for step in job.steps.defer("result_sealed")[:MAX_ROWS]],
        "callbacks": _callbacks(job),
        "batch": _batch(job),
    }


def attempt_rows(attempts: list[CallbackAttempt]) -> list[dict[str, Any]]:
    """Attempts of a callback, the last first."""
    return [
        {
            "number": one.number,
            "at": one.created_at,
            "outcome": badge("delivered" if _is_success(one) else "failed", one.error or one.status or "-"),
            "status": one.status,
            "latency": milliseconds(one.latency_ms),
            "excerpt": one.excerpt,
        }
        for one in sorted(attempts, key=lambda one: (one.created_at, one.pk), reverse=True)[:MAX_ROWS]
    ]


def _is_success(attempt: CallbackAttempt) -> bool:
    return not attempt.error and attempt.status is not None and 200 <= attempt.status < 300


def _attempt(entry: dict[str, Any]) -> dict[str, Any]:
    started, ended = _moment(entry.get("started_at")), _moment(entry.get("ended_at"))
    outcome = str(entry.get("outcome", ""))
    return {
        "number": entry.get("number"),
        "outcome": badge(outcome, OUTCOMES.get(outcome, outcome)),
        "error": entry.get("error") or "",
        "worker": entry.get("worker") or "",
        "started": started,
        "took": duration(ended - started) if started and ended else "-",
    }


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _step(step: JobStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "state": badge(step.state, step.get_state_display()),
        "sends": step.sends,
        "repeated": step.sends > 1,
        "sent": step.sent_at,
        "took": duration(step.done_at - step.sent_at) if step.done_at else "",
    }


def _callbacks(job: Job) -> list[dict[str, Any]]:
    rows = Callback.objects.for_tenant(job.tenant).filter(job=job).defer("body_sealed")
    ordered = rows.order_by("sequence", "created_at").select_related("endpoint").prefetch_related("attempt_log")
    return [
        {
            "callback": one,
            "state": badge(one.state, one.get_state_display()),
            "address": address(one.endpoint.url),
            "attempts": attempt_rows(list(one.attempt_log.all())),
        }
        for one in ordered[:MAX_ROWS]
    ]


def _batch(job: Job) -> dict[str, Any] | None:
    """How far the jobs of a batch are, and the ones that failed."""
    rows = Job.objects.for_tenant(job.tenant).filter(parent=job)
    counted = dict(rows.order_by().values_list("status").annotate(number=Count("pk")))
    if not counted:
        return None
    total = sum(counted.values())
    unfinished = sum(counted.get(status, 0) for status in Job.UNFINISHED)
    failed = rows.filter(status=Job.Status.FAILED).only("id", "ordinal", "error_code", "error_message")
    return {
        "bar": bar(100 * (total - unfinished) // total, tone="bad" if counted.get(Job.Status.FAILED) else "good"),
        "text": _("%(ended)s of %(total)s have ended") % {"ended": total - unfinished, "total": total},
        "states": [
            (state.value, badge(state, state.label), counted[state]) for state in Job.Status if state in counted
        ],
        "failed": list(failed.order_by("ordinal")[:MAX_ROWS]),
    }
