"""What django-q2 runs, and that it is scheduled."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_q.models import Schedule

from django_wp_ai import schedules, tasks
from django_wp_ai.models import IdempotentReply, SpentNonce, StreamSlot, UsageEvent
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
    dead, alive = _pending(timedelta(hours=2)), _pending(timedelta(minutes=119))  # a stream may run for an hour

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
def test_places_of_streams_and_kept_replies_are_forgotten_when_their_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "DELETED_AT_ONCE", 2)
    tenant, now = TenantFactory.create(), timezone.now()
    for minutes in (-3, -2, -1, 1):
        until = now + timedelta(minutes=minutes)
        StreamSlot.objects.create(id=uuid4(), tenant=tenant, lease_until=until)
        IdempotentReply.objects.create(
            tenant=tenant, key_hash=f"{minutes}", body_hash="b", owner=uuid4(), created_at=now, expires_at=until
        )

    found = tasks.tidy()
    assert (found["slots"], found["replies"], found["conversations"]) == (3, 3, 0)
    assert (StreamSlot.objects.count(), IdempotentReply.objects.count()) == (1, 1)


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
    assert set(Schedule.objects.values_list("name", "func", "minutes")) == {
        ("django_wp_ai.tidy", "django_wp_ai.tasks.tidy", 10),
        ("django_wp_ai.send_alerts", "django_wp_ai.tasks.send_alerts", 1),
        ("django_wp_ai.send_digests", "django_wp_ai.tasks.send_digests", 60),
        ("django_wp_ai.process_inbound", "django_wp_ai.tasks.process_inbound", 1),
        ("django_wp_ai.sweep_jobs", "django_wp_ai.tasks.sweep_jobs", 1),
        ("django_wp_ai.keep_indexes", "django_wp_ai.tasks.keep_indexes", 10),
    }
