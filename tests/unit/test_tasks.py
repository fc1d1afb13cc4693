"""What django-q2 runs, and that it is scheduled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule

from django_wp_ai import schedules, tasks
from django_wp_ai.models import SpentNonce, UsageEvent
from tests.factories import TenantFactory


def _pending(age: timedelta) -> UsageEvent:
    return UsageEvent.objects.create(
        tenant=TenantFactory.create(),
        route="chat",
        provider="openai",
        model="gpt-4o-mini",
        reserved_usd=Decimal("0.5"),
        created_at=timezone.now() - age,
    )


@pytest.mark.django_db
def test_a_call_left_pending_by_a_dead_process_keeps_its_worst_case_as_an_estimate() -> None:
    dead, alive = _pending(timedelta(hours=2)), _pending(timedelta(minutes=2))

    assert tasks.tidy()["settled"] == 1

    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.state, dead.cost_usd, dead.estimated, dead.error_code) == (
        "settled",
        Decimal("0.5"),
        True,
        "abandoned",
    )
    assert alive.state == "pending"
    assert tasks.tidy()["settled"] == 0


@pytest.mark.django_db
def test_spent_nonces_are_forgotten_when_they_no_longer_matter() -> None:
    now = timezone.now()
    SpentNonce.objects.create(key="old", expires_at=now - timedelta(seconds=1))
    SpentNonce.objects.create(key="new", expires_at=now + timedelta(minutes=1))

    assert tasks.tidy()["forgotten"] == 1
    assert [row.key for row in SpentNonce.objects.all()] == ["new"]


@pytest.mark.django_db
def test_migrate_schedules_the_tidying_once_and_leaves_an_operators_change_alone() -> None:
    Schedule.objects.filter(name=schedules.TIDY).update(minutes=60)

    call_command("migrate", verbosity=0)

    [schedule] = Schedule.objects.filter(name=schedules.TIDY)
    assert schedule.minutes == 60
    assert schedule.func == "django_wp_ai.tasks.tidy"


@pytest.mark.django_db
def test_the_schedule_comes_back_when_it_was_deleted() -> None:
    Schedule.objects.all().delete()
    schedules.ensure_schedules(using="default")
    assert Schedule.objects.filter(name=schedules.TIDY).exists()
