"""Filters of the list of jobs."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.filters import EndedFilter, LinkedFilter, RecentErrorFilter
from django_wp_ai.jobs.registry import kinds
from django_wp_ai.models import Job

RECENT = timedelta(days=30)
#: A job that is due for so long waits for a worker that may not be there.
LATE = timedelta(minutes=5)


class KindFilter(admin.SimpleListFilter):
    """By kind: those that are registered, and the chosen one."""

    title, parameter_name = _("kind"), "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Names of kinds."""
        chosen = self.used_parameters.get("kind")
        return [(name, name) for name in sorted({*kinds(), *([chosen] if chosen else [])})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Jobs of the chosen kind."""
        return queryset.filter(kind=self.value()) if self.value() else queryset


class QueueFilter(admin.SimpleListFilter):
    """Where in the queue a job is, by the database's clock; the last two are what a healthy queue does not have."""

    title, parameter_name = _("queue"), "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The places."""
        return [
            ("due", _("due now")),
            ("working", _("with a worker")),
            ("late", _("stale: due for over 5 minutes")),
            ("lost", _("stale: its worker is gone")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Jobs at the chosen place."""
        jobs = Job.objects.all()
        found = {
            "due": jobs.due(),
            "working": jobs.filter(status=Job.Status.RUNNING, waiting_for=None),
            "late": jobs.due().filter(run_after__lt=Now() - LATE),
            "lost": jobs.lost(),
        }.get(self.value() or "")
        return queryset if found is None else queryset.filter(pk__in=found.values("pk"))


class ErrorFilter(RecentErrorFilter):
    """By error code, or any, or none."""

    parameter_name = "error_code"

    def recent(self) -> QuerySet[Any]:
        """Jobs that ended lately."""
        return Job.objects.filter(finished_at__gte=timezone.now() - RECENT, anonymised_at=None)


class JobEndedFilter(EndedFilter):
    """By the time it ended."""

    column = "finished_at"


class BatchFilter(LinkedFilter):
    """The jobs of one batch."""

    title, parameter_name, column, parse = _("batch"), "batch", "parent_id", uuid.UUID
