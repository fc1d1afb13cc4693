"""The schedules django-q2 keeps for us, made after ``migrate`` so that a host has nothing to set up."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections

TIDY = "django_wp_ai.tidy"
ALERTS = "django_wp_ai.send_alerts"
DIGESTS = "django_wp_ai.send_digests"
INBOUND = "django_wp_ai.process_inbound"
SWEEP = "django_wp_ai.sweep_jobs"
INDEXES = "django_wp_ai.keep_indexes"
#: By name: what is run, and every how many minutes.
SCHEDULES = {
    TIDY: ("django_wp_ai.tasks.tidy", 10),
    ALERTS: ("django_wp_ai.tasks.send_alerts", 1),
    DIGESTS: ("django_wp_ai.tasks.send_digests", 60),  # in every time zone a day ends at another hour
    INBOUND: ("django_wp_ai.tasks.process_inbound", 1),
    SWEEP: ("django_wp_ai.tasks.sweep_jobs", 1),
    INDEXES: ("django_wp_ai.tasks.keep_indexes", 10),
}


def ensure_schedules(*, using: str, **_: Any) -> None:
    """Add what is missing; a schedule that an operator changed stays as it is."""
    if not apps.is_installed("django_q"):
        return
    from django_q.models import Schedule

    if Schedule._meta.db_table not in connections[using].introspection.table_names():
        return  # django-q2's own migrations did not run yet; the next migrate finds its table
    for name, (function, minutes) in SCHEDULES.items():
        Schedule.objects.using(using).get_or_create(
            name=name,
            defaults={"func": function, "schedule_type": Schedule.MINUTES, "minutes": minutes, "repeats": -1},
        )
