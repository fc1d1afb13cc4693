"""The figures above the list of jobs: what waits, what runs, what failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.display import count, duration
from django_wp_ai.admin.job_filters import LATE
from django_wp_ai.jobs import claims
from django_wp_ai.models import Job


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that leads to the rows it counts."""

    label: str | Promise
    value: str
    query: str
    warns: bool = False


def queue_figures() -> list[Figure]:
    """Of all tenants, in two queries."""
    depth = claims.depth()
    day = timezone.now() - timedelta(hours=24)
    # Not anonymised: no job is within a day, and the index of ended jobs has only those.
    failed = Job.objects.filter(status=Job.Status.FAILED, finished_at__gte=day, anonymised_at=None).count()
    late = depth.oldest_age_s > LATE.total_seconds()
    return [
        Figure(_("Due"), count(depth.queued), "queue=due"),
        Figure(_("Running"), count(depth.running), "queue=working"),
        Figure(
            _("Oldest waits for"),
            duration(depth.oldest_age_s) if depth.queued else "-",
            "queue=late" if late else "queue=due",
            warns=late,
        ),
        Figure(_("Failed in 24 h"), count(failed), "status__exact=failed&ended=24h", warns=failed > 0),
    ]
