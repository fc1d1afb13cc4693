"""What a job tells of its attempts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django_wp_ai.models import Job

LENGTH = 20  # attempts that are told of


def with_attempt(job: Job, at: datetime | None, outcome: str, code: str) -> list[dict[str, Any]]:
    """The timeline of a job that is running, with its attempt as one that ended ``at``; None: to be filled in."""
    begun = job.claimed_at or at
    entry = {
        "number": job.attempts,
        "worker": job.worker,
        "started_at": None if begun is None else begun.isoformat(),
        "ended_at": None if at is None else at.isoformat(),
        "outcome": outcome,
        "error": code,
    }
    return [*job.timeline, entry][-LENGTH:]
