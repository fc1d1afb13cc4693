"""Wake-ups: one message for many jobs, through whichever broker, and never in the way of who creates a job."""

from __future__ import annotations

import logging
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django_q.conf import Conf
from django_q.models import OrmQ

from django_wp_ai import wakeups, workers
from django_wp_ai.jobs.waking import wake
from tests.services import redis_url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[wakeups.Wakeups]:
    made = wakeups.Wakeups()
    monkeypatch.setattr(wakeups, "_wakeups", made)
    yield made
    made._latest = None  # what its thread has not sent by now is not for the next test's broker


@pytest.fixture
def redis_broker(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from redis import Redis

    use_redis(settings, monkeypatch, redis_url())
    client = Redis.from_url(redis_url())
    yield lambda: client.llen(f"django_q:{Conf.CLUSTER_NAME}:q")
    client.delete(f"django_q:{Conf.CLUSTER_NAME}:q")
    client.close()


def use_redis(settings: Any, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Django-q2 reads its settings at import, so both are changed."""
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "orm": None, "redis": url}
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", url)


def test_a_wake_up_follows_the_commit_and_its_payload_is_an_id() -> None:
    job_id = uuid.uuid4()
    with transaction.atomic():
        wake(job_id)
        assert not OrmQ.objects.exists()
    [message] = OrmQ.objects.all()
    assert message.func() == "django_wp_ai.tasks.work"
    assert message.args() == (str(job_id),)
    assert message.task["kwargs"] == {}
    assert message.task["save"] is False
    assert message.task["ack_failure"] is True


def test_a_wake_up_keeps_the_connection_that_has_just_committed() -> None:
    with transaction.atomic():
        wake(uuid.uuid4())
        in_use = connection.connection
    assert OrmQ.objects.count() == 1
    assert connection.connection is in_use


def test_a_transaction_that_is_rolled_back_wakes_nobody() -> None:
    with transaction.atomic():
        wake(uuid.uuid4())
        transaction.set_rollback(True)
    assert not OrmQ.objects.exists()


def test_a_thousand_jobs_make_a_handful_of_wake_ups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "INTERVAL_S", 3600)
    for _ in range(1000):
        wake(uuid.uuid4())
    assert OrmQ.objects.count() == 1


def test_a_job_after_a_pause_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakeups, "INTERVAL_S", 0.0)
    wake(uuid.uuid4())
    wake(uuid.uuid4())
    assert OrmQ.objects.count() == 2


def test_redis_gets_at_least_one_and_far_fewer_than_there_were_jobs(
    redis_broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wakeups, "INTERVAL_S", 3600)
    for _ in range(1000):
        wake(uuid.uuid4())
    while redis_broker() < 1:
        time.sleep(0.01)
    assert redis_broker() == 1
    assert not OrmQ.objects.exists()


def test_a_broker_that_hangs_holds_up_nobody(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes connections and never answers; the thread that sends is left with it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_redis(settings, monkeypatch, f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        for _ in range(100):
            wake(uuid.uuid4())
        peer, _ = silent.accept()  # it did try
        peer.close()


def test_a_broker_that_is_down_is_told_of_once_and_raises_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise OperationalError("no such host: db.internal")

    monkeypatch.setattr(wakeups, "INTERVAL_S", 0.0)
    monkeypatch.setattr("django_q.tasks.async_task", away)
    with caplog.at_level(logging.WARNING, "django_wp_ai.jobs"):
        wake(uuid.uuid4())
        wake(uuid.uuid4())
    [record] = caplog.records
    assert "OperationalError" in record.getMessage()
    assert "db.internal" not in caplog.text


def test_a_wake_up_in_a_process_without_a_loop_does_nothing() -> None:
    before = set(threading.enumerate())
    workers.poke(uuid.uuid4())
    assert set(threading.enumerate()) <= before  # those of other tests may end meanwhile


def test_a_task_run_in_place_begins_no_loop() -> None:
    from django_q.signals import post_spawn

    before = set(threading.enumerate())
    post_spawn.send(sender="django_q", proc_name="test")
    assert set(threading.enumerate()) <= before
