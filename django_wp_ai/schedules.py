"""The schedules django-q2 keeps for us, made after ``migrate`` so that a host has nothing to set up."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db import connections

TIDY = "django_wp_ai.tidy"
TIDY_EVERY_MIN = 10


def ensure_schedules(*, using: str, **_: Any) -> None:
    """Add what is missing; a schedule that an operator changed stays as it is."""
    if not apps.is_installed("django_q"):
        return
    from django_q.models import Schedule

    if Schedule._meta.db_table not in connections[using].introspection.table_names():
        return  # django-q2's own migrations did not run yet; the next migrate finds its table
    Schedule.objects.using(using).get_or_create(
        name=TIDY,
        defaults={
            "func": "django_wp_ai.tasks.tidy",
            "schedule_type": Schedule.MINUTES,
            "minutes": TIDY_EVERY_MIN,
            "repeats": -1,
        },
    )
