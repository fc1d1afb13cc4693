"""Callbacks as an operator sees them: never their bodies, and no URL with what may be a token."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django_wp_ai.callbacks.selection import Selection
from django_wp_ai.models import Callback


def newest(selection: Selection, *, limit: int) -> list[Callback]:
    """Blocking: the callbacks that were made last."""
    return list(selection.rows().select_related("tenant", "endpoint").order_by("-created_at", "-id")[:limit])


def describe(callback: Callback) -> dict[str, Any]:
    """One callback, ready for JSON."""
    return {
        "id": callback.message_id,
        "tenant": callback.tenant.slug,
        "type": callback.type,
        "job_id": None if callback.job_id is None else str(callback.job_id),
        "url": shown(callback.endpoint.url),
        "profile": callback.profile,
        "state": str(callback.state),
        "attempts": callback.attempts,
        "replays": callback.replays,
        "last_status": callback.last_status,
        "last_error": callback.last_error,
        "next_attempt_at": callback.next_attempt_at if callback.state == Callback.State.PENDING else None,
        "created_at": callback.created_at,
        "ended_at": callback.ended_at,
    }


def attempts(callback: Callback) -> list[dict[str, Any]]:
    """Blocking: every attempt, the oldest first; their numbers begin anew with each replay."""
    columns = ("number", "status", "error", "latency_ms", "excerpt", "created_at")
    return list(callback.attempt_log.values(*columns))


def shown(url: str) -> str:
    """A URL without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}{'?…' if parts.query else ''}"
