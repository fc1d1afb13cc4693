"""Couriers at work: several at once, fair, in order, stopped in the middle, and without a database for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.db.models.functions import Now

from django_wp_ai.bridge import in_pool
from django_wp_ai.callbacks import courier as module
from django_wp_ai.callbacks import delivery
from django_wp_ai.callbacks.claims import claim, release
from django_wp_ai.callbacks.courier import Courier
from django_wp_ai.callbacks.endpoints import disable
from django_wp_ai.callbacks.noting import Outcome, note
from django_wp_ai.models import Callback, CallbackAttempt, Tenant
from django_wp_ai.security.issue import Issued
from tests.factories import TenantFactory
from tests.flows.callbacks.conftest import SetUp, deliver_due, fresh, make_due, put, run_all
from tests.flows.callbacks.jobs import ended_job
from tests.flows.callbacks.receiver import Receiver, status

pytestmark = pytest.mark.django_db(transaction=True)


def working(
    until: Callable[[], bool],
    *,
    couriers: int = 1,
    meanwhile: Callable[[], None] = lambda: None,
    then: Callable[[], None] = lambda: None,
) -> None:
    """Run couriers until something is so, then tell them to stop; ``then`` happens after that."""

    def wait() -> None:
        meanwhile()
        while not until():
            time.sleep(0.01)

    async def run() -> None:
        stopping = asyncio.Event()
        tasks = [asyncio.create_task(Courier().run(stopping)) for _ in range(couriers)]
        await in_pool(wait)
        stopping.set()
        then()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def none_waits() -> bool:
    return not Callback.objects.filter(state="pending").exists()


def test_couriers_at_once_deliver_each_callback_once(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    made = {put(site, receiver, data={"n": n}).message_id for n in range(30)}
    working(none_waits, couriers=3)
    assert Counter(headers["webhook-id"] for headers, _ in receiver.received) == Counter(made)
    assert set(Callback.objects.values_list("state", "attempts")) == {("delivered", 1)}


def test_workers_that_claim_at_once_never_hold_the_same_nor_more_than_allowed(
    site: Tenant, receiver: Receiver, configure: SetUp
) -> None:
    configure(CALLBACKS_PER_TENANT=4)
    for _ in range(12):
        put(site, receiver)
    begin, held = threading.Barrier(4), []

    def work() -> None:
        begin.wait()
        try:
            held.extend(one.callback.pk for one in claim(at_most=10))
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(held) == len(set(held)) == 4
    assert claim(at_most=10) == []


def test_a_site_with_many_callbacks_leaves_room_for_one_with_a_single_one(
    site: Tenant, receiver: Receiver, configure: SetUp
) -> None:
    configure(CALLBACKS_PER_TENANT=50)
    for _ in range(40):
        put(site, receiver)
    small = put(TenantFactory.create(), receiver)
    assert small.pk in {one.callback.pk for one in claim(at_most=4)}


def test_a_later_callback_of_a_job_waits_for_the_earlier_one(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    job = ended_job(site, callback_url=receiver.url)
    first, second, third = (put(site, receiver, job=job, data={"n": n}) for n in range(3))
    unrelated = put(site, receiver)
    receiver.answers = [status(500), status(500), status(200)]
    Callback.objects.filter(pk=unrelated.pk).update(next_attempt_at=Now())
    assert {one.callback.pk for one in claim(at_most=9)} == {first.pk, unrelated.pk}
    Callback.objects.update(lease_until=None)
    Callback.objects.filter(pk=unrelated.pk).delete()
    assert deliver_due() == 1
    make_due(second)
    make_due(third)
    assert deliver_due() == 0  # the first one failed and is to be tried again
    Callback.objects.filter(pk=first.pk).update(attempts=9)
    make_due()
    assert deliver_due() == 1
    assert fresh(first).state == "dead"
    assert [deliver_due(), deliver_due(), deliver_due()] == [1, 1, 0]
    assert [fresh(one).state for one in (second, third)] == ["delivered", "delivered"]
    assert [headers["webhook-id"] for headers, _ in receiver.received[-2:]] == [second.message_id, third.message_id]


def test_a_worker_that_died_after_sending_sends_again_with_the_same_id(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    callback = put(site, receiver)
    [lost] = claim(at_most=1)
    asyncio.run(_send_only(lost))
    assert deliver_due() == 0  # its lease still runs
    Callback.objects.update(lease_until=Now())
    assert deliver_due() == 1
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {callback.message_id}
    assert len(receiver.received) == 2
    assert not note(lost, Outcome(error="timeout"))  # too late: the other one's word stands
    assert (fresh(callback).state, CallbackAttempt.objects.count()) == ("delivered", 1)


async def _send_only(lost: Any) -> None:
    outgoing = await in_pool(delivery._prepare, lost)
    assert isinstance(outgoing, delivery.Outgoing)
    await delivery._attempt(lost, outgoing)


def test_what_is_given_back_is_taken_at_once_and_not_counted(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    callback = put(site, receiver)
    claims = claim(at_most=1)
    release(claims)
    assert deliver_due() == 1
    assert (fresh(callback).state, fresh(callback).attempts) == ("delivered", 1)
    release(claims)
    assert fresh(callback).state == "delivered"


def test_a_courier_that_stops_finishes_what_is_under_way(site: Tenant, secret: Issued, receiver: Receiver) -> None:
    told_to_stop = threading.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.to_thread(told_to_stop.wait)
        await status(200)(reader, writer)

    receiver.answers = [answer]
    callback = put(site, receiver)
    working(lambda: bool(receiver.received), then=told_to_stop.set)
    assert fresh(callback).state == "delivered"


def test_a_courier_that_must_stop_gives_back_what_takes_too_long(
    site: Tenant, secret: Issued, receiver: Receiver, configure: SetUp
) -> None:
    configure(JOB_DRAIN_S=0)

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    receiver.answers = [hang]
    callback = put(site, receiver)
    working(lambda: bool(receiver.received))
    row = fresh(callback)
    assert (row.state, row.attempts, row.lease_until) == ("pending", 0, None)


def test_a_courier_hears_of_a_callback_when_its_transaction_commits(
    site: Tenant, secret: Issued, receiver: Receiver, configure: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(JOB_POLL_S=3600.0)
    idle = threading.Event()

    class Watched(Courier):
        async def _pause(self, stopping: asyncio.Event, seconds: float) -> None:
            if seconds:
                idle.set()
            await super()._pause(stopping, seconds)

    monkeypatch.setattr("tests.flows.callbacks.test_courier.Courier", Watched)

    def write() -> None:
        idle.wait()
        put(site, receiver)

    working(lambda: Callback.objects.filter(state="delivered").exists(), meanwhile=write)
    assert len(receiver.received) == 1


def test_a_database_that_is_away_is_waited_for(
    site: Tenant,
    secret: Issued,
    receiver: Receiver,
    configure: SetUp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure(JOB_POLL_S=0.01)
    away = {"claim": 3, "note": 2}

    def failing(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            if away[name]:
                away[name] -= 1
                raise OperationalError("the connection is closed")
            return real(*args, **options)

        return call

    monkeypatch.setattr(module, "claim", failing("claim", claim))
    monkeypatch.setattr(delivery, "note", failing("note", note))
    monkeypatch.setattr(delivery, "NOTED_AGAIN_AFTER_S", (0.0, 0.0, 0.0))
    callback = put(site, receiver)
    working(none_waits)
    assert (fresh(callback).state, fresh(callback).attempts) == ("delivered", 1)
    assert len(receiver.received) == 1
    assert caplog.text.count("can't be taken now: OperationalError") == 3
    assert "Traceback" not in caplog.text


def test_a_delivery_that_breaks_off_is_noted_and_tried_again(
    site: Tenant, secret: Issued, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a bug that quotes " + str(2**70))

    callback = put(site, receiver)
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "_prepare", broken)
        working(lambda: fresh(callback).attempts == 1)
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", "internal")
    assert fresh(callback).endpoint.failing_since is None
    assert f"The delivery of callback {callback.pk} broke off" in caplog.text
    assert str(2**70) not in caplog.text
    assert "test_courier.py" in caplog.text
    make_due()
    assert deliver_due() == 1
    assert fresh(callback).state == "delivered"


def test_an_endpoint_that_is_switched_off_after_the_claim_gets_nothing(
    site: Tenant, secret: Issued, receiver: Receiver
) -> None:
    callback = put(site, receiver)
    claims = claim(at_most=1)
    assert disable(callback.endpoint, reason="operator")
    assert fresh(callback).state == "pending"
    run_all(claims)
    assert (fresh(callback).state, fresh(callback).last_error) == ("dead", "endpoint_disabled")
    assert receiver.connections == 0
