"""Working on events from outside: once each, in one transaction, again after a failure, and not for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from django_wp_ai import schedules, tasks, wakeups
from django_wp_ai.gateway import inbound
from django_wp_ai.models import InboundEvent, Tenant
from django_wp_ai.signals import provider_event_received
from tests.factories import TenantFactory

Listen = Callable[[Callable[..., Any]], None]


@pytest.fixture
def listen() -> Iterator[Listen]:
    """Connects receivers for the length of a test."""
    connected: list[Callable[..., Any]] = []

    def connect(receiver: Callable[..., Any]) -> None:
        provider_event_received.connect(receiver, weak=False)
        connected.append(receiver)

    yield connect
    for receiver in connected:
        provider_event_received.disconnect(receiver)


def received(event_id: str = "evt_1", **changes: Any) -> InboundEvent:
    assert inbound.receive(
        **{"source": "openai", "event_id": event_id, "type": "batch.completed", "payload": {"n": 1}, **changes}
    )
    return InboundEvent.objects.get(event_id=event_id)


def make_due() -> None:
    InboundEvent.objects.update(next_attempt_at=timezone.now() - timedelta(days=1))


def fails(*, payload: dict[str, Any], **_: Any) -> None:
    raise ValueError(f"Can't use {payload}")


@pytest.mark.django_db
def test_an_event_is_told_once_with_all_that_is_known_of_it(listen: Listen) -> None:
    told: list[dict[str, Any]] = []
    listen(lambda **event: told.append(event))
    tenant = TenantFactory.create()
    event = received(tenant=tenant)

    assert (tasks.process_inbound(), tasks.process_inbound()) == (1, 0)
    [one] = told
    assert {name: one[name] for name in ("source", "event_id", "type", "payload", "tenant")} == {
        "source": "openai",
        "event_id": "evt_1",
        "type": "batch.completed",
        "payload": {"n": 1},
        "tenant": tenant,
    }
    event.refresh_from_db()
    assert (event.state, event.attempts, event.error_message) == ("done", 1, "")
    assert event.done_at is not None


@pytest.mark.django_db
def test_a_known_event_is_known_after_it_was_worked_on_too() -> None:
    received()
    tasks.process_inbound()
    assert not inbound.receive(source="openai", event_id="evt_1", type="batch.completed", payload={})
    assert inbound.receive(source="anthropic", event_id="evt_1", type="batch.completed", payload={})


@pytest.mark.django_db(transaction=True)
def test_what_a_receiver_wrote_is_undone_when_another_one_fails(listen: Listen) -> None:
    listen(lambda **_: Tenant.objects.create(slug="made-by-a-receiver", name="Made"))
    listen(fails)
    event = received()

    assert tasks.process_inbound() == 0
    assert not Tenant.objects.filter(slug="made-by-a-receiver").exists()
    event.refresh_from_db()
    assert (event.state, event.attempts) == ("received", 1)


@pytest.mark.django_db
def test_a_failure_is_kept_without_the_errors_words(listen: Listen, caplog: pytest.LogCaptureFixture) -> None:
    listen(fails)
    event = received()
    tasks.process_inbound()

    event.refresh_from_db()
    assert event.error_message.startswith("ValueError in fails, line ")
    assert "ValueError" in caplog.text
    assert __name__.rpartition(".")[2] in caplog.text
    assert "Can't use {'n'" not in caplog.text


@pytest.mark.django_db
def test_an_event_that_fails_is_tried_five_times_ever_later(listen: Listen) -> None:
    listen(fails)
    event = received()
    waits = []
    for attempt in range(1, 6):
        make_due()
        before = timezone.now()
        assert tasks.process_inbound() == 0
        event.refresh_from_db()
        assert event.attempts == attempt
        waits.append(round((event.next_attempt_at - before).total_seconds() / 60))

    assert waits == [1, 5, 30, 120, 120]
    assert (event.state, event.done_at is not None) == ("failed", True)
    make_due()
    assert tasks.process_inbound() == 0
    event.refresh_from_db()
    assert event.attempts == 5


@pytest.mark.django_db
def test_an_event_that_succeeds_later_is_done(listen: Listen) -> None:
    listen(fails)
    event = received()
    tasks.process_inbound()
    provider_event_received.disconnect(fails)
    assert tasks.process_inbound() == 0  # not yet
    make_due()
    assert tasks.process_inbound() == 1
    event.refresh_from_db()
    assert (event.state, event.attempts, event.error_message) == ("done", 2, "")


@pytest.mark.django_db
def test_one_that_fails_keeps_nobody_waiting(listen: Listen) -> None:
    def fails_for_one(*, event_id: str, **_: Any) -> None:
        if event_id == "evt_0":
            raise ValueError

    listen(fails_for_one)
    for number in range(3):
        received(f"evt_{number}")
    assert tasks.process_inbound() == 2
    assert InboundEvent.objects.get(state="received").event_id == "evt_0"


@pytest.mark.django_db
def test_an_event_whose_workers_died_five_times_is_given_up() -> None:
    event = received()
    InboundEvent.objects.update(attempts=5)
    assert tasks.process_inbound() == 0
    event.refresh_from_db()
    assert (event.state, event.error_message) == ("failed", "The worker was lost.")


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_an_event_that_another_worker_took_over_is_done_by_that_one_alone(listen: Listen) -> None:
    """The first attempt hangs until the second one, made due by the clock, has ended."""
    is_in, may_go = threading.Event(), threading.Event()
    attempts: list[int] = []

    def slow(**_: Any) -> None:
        attempts.append(1)
        Tenant.objects.create(slug=f"attempt-{len(attempts)}", name="Made")
        if len(attempts) == 1:
            is_in.set()
            assert may_go.wait(timeout=60)

    def work() -> int:
        try:
            return tasks.process_inbound()
        finally:
            connections.close_all()

    listen(slow)
    received()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(work)
        assert is_in.wait(timeout=60)
        make_due()
        assert tasks.process_inbound() == 1
        may_go.set()
        assert first.result(timeout=60) == 0
    assert [tenant.slug for tenant in Tenant.objects.all()] == ["attempt-2"]
    assert InboundEvent.objects.get().attempts == 2


@pytest.mark.django_db(transaction=True)
def test_workers_at_once_tell_each_event_once(listen: Listen) -> None:
    told: list[str] = []
    listen(lambda *, event_id, **_: told.append(event_id))
    for number in range(20):
        received(f"evt_{number}")

    def work(_: int) -> int:
        try:
            return tasks.process_inbound()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(work, range(4)))
    assert done == 20
    assert sorted(told) == sorted(f"evt_{number}" for number in range(20))


@pytest.mark.django_db(transaction=True)
def test_workers_are_told_after_the_commit_and_a_dead_broker_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(wakeups, "_events", wakeups.Wakeups(wakeups.EVENTS))
    monkeypatch.setattr(wakeups, "INTERVAL_S", 0.0)
    received()
    assert [task.task["func"] for task in OrmQ.objects.all()] == ["django_wp_ai.tasks.process_inbound"]

    def is_down(*_: Any, **__: Any) -> None:
        raise ConnectionError("broker://secret@host")

    monkeypatch.setattr("django_q.tasks.async_task", is_down)
    received("evt_2")
    assert "can't be woken" in caplog.text
    assert "secret" not in caplog.text
    assert tasks.process_inbound() == 2


@pytest.mark.django_db
def test_the_schedule_is_the_second_net() -> None:
    schedules.ensure_schedules(using="default")
    schedule = Schedule.objects.get(name=schedules.INBOUND)
    assert (schedule.func, schedule.minutes) == ("django_wp_ai.tasks.process_inbound", 1)


@pytest.mark.django_db
def test_events_that_ended_long_ago_are_forgotten() -> None:
    old, young, waiting = (received(f"evt_{number}") for number in range(3))
    for row, state, days in ((old, "done", 31), (young, "failed", 29)):
        at = timezone.now() - timedelta(days=days)
        InboundEvent.objects.filter(pk=row.pk).update(state=state, done_at=at)
    InboundEvent.objects.filter(pk=waiting.pk).update(received_at=timezone.now() - timedelta(days=400))

    assert tasks.tidy()["events"] == 1
    assert set(InboundEvent.objects.all()) == {young, waiting}
