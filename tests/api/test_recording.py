"""A stream that is kept while it passes: slow readers, readers that leave, bodies that break."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from django.db import OperationalError

from django_wp_ai.api import idempotency as edge
from django_wp_ai.api.recording import HEARTBEAT, Recorded, StreamBody
from django_wp_ai.bridge import CallerThread
from django_wp_ai.exceptions import Conflict
from django_wp_ai.gateway import idempotency
from django_wp_ai.gateway.idempotency import Claim, Reply
from django_wp_ai.models import IdempotentReply, Tenant
from tests.factories import TenantFactory

T = TypeVar("T")
HEADERS = {"Content-Type": "text/event-stream"}


class Body(StreamBody):
    """Gives what the test puts in; None ends it, an error is raised."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        self.is_closed = False

    async def __anext__(self) -> bytes:
        item = await self.items.get()
        if item is None:
            raise StopAsyncIteration
        if isinstance(item, Exception):
            raise item
        return item

    async def aclose(self) -> None:
        self.is_closed = True

    def close(self) -> None:
        self.is_closed = True


class Reading:
    """A recorded body, driven from the test's own thread, so that it sees the rows."""

    def __init__(self, tenant: Tenant) -> None:
        self._caller = CallerThread()
        self.tenant = tenant
        claim = self.begin()
        assert isinstance(claim, Claim)
        self.claim = claim
        self.body, self.recorded = self.run(self._start())

    async def _start(self) -> tuple[Body, Recorded]:
        body = Body()
        return body, Recorded(body, self.claim, HEADERS)

    def begin(self) -> Claim | Reply:
        return idempotency.begin(self.tenant, "key-1", caller="", call=b"a call")

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        return self._caller.drive(flow)

    def put(self, *items: bytes | Exception | None) -> None:
        for item in items:
            self.run(_put(self.body, item))
        while not self.body.items.empty():
            self.run(asyncio.sleep(0))

    def next(self) -> bytes:
        return self.run(anext(self.recorded))

    def leave(self) -> None:
        self.recorded.close()
        self.run(asyncio.sleep(0))

    def finish(self) -> None:
        """Wait until the row is settled."""

        while not self.recorded._is_over:
            self.run(asyncio.sleep(0.001))


@pytest.fixture
def reading(db: None, settings: Any) -> Reading:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "IDEMPOTENCY_MAX_BYTES": 10}
    return Reading(TenantFactory.create())


def test_each_piece_passes_at_once_and_all_are_kept(reading: Reading) -> None:
    reading.put(b"one ")
    assert reading.next() == b"one "
    reading.put(b"two ", b"3")
    assert reading.next() == b"two 3"
    reading.put(None)
    with pytest.raises(StopAsyncIteration):
        reading.next()
    assert reading.begin() == Reply(200, HEADERS, b"one two 3")
    assert reading.body.is_closed


def test_silence_reaches_the_reader_and_not_what_is_kept(reading: Reading) -> None:
    reading.put(b"one")
    assert reading.next() == b"one"
    reading.put(HEARTBEAT)
    assert reading.next() == HEARTBEAT
    reading.put(HEARTBEAT, b"two", None)
    assert reading.next() == b"two"
    reading.finish()
    assert reading.begin() == Reply(200, HEADERS, b"onetwo")


@pytest.mark.parametrize("end", ["aclose", "athrow", "close"])
def test_a_reader_that_leaves_ends_nothing(reading: Reading, end: str) -> None:
    reading.put(b"one ")
    if end == "aclose":
        reading.run(reading.recorded.aclose())
    elif end == "athrow":
        with pytest.raises(GeneratorExit):
            reading.run(reading.recorded.athrow(GeneratorExit()))
    else:
        reading.leave()
    with pytest.raises(Conflict):
        reading.begin()
    reading.put(b"two", None)
    reading.finish()
    assert reading.begin() == Reply(200, HEADERS, b"one two")


def test_a_body_that_breaks_leaves_the_key_free(reading: Reading) -> None:
    reading.put(b"one", OSError("broken"))
    assert reading.run(reading.recorded.asend(None)) == b"one"
    with pytest.raises(OSError, match="broken"):
        reading.next()
    assert isinstance(reading.begin(), Claim)


def test_a_body_that_tells_of_its_error_leaves_the_key_free(reading: Reading) -> None:
    reading.body.is_broken = True
    reading.put(b"error", None)
    assert reading.next() == b"error"
    reading.finish()
    assert isinstance(reading.begin(), Claim)


# More than is kept


def test_a_large_body_passes_whole_and_waits_for_its_reader(reading: Reading) -> None:
    reading.put(b"0123456789")
    assert reading.next() == b"0123456789"
    reading.put(b"more than ten")
    reading.run(_put(reading.body, b"waits"))
    assert not reading.body.items.empty()
    assert reading.next() == b"more than ten"
    assert reading.next() == b"waits"
    reading.put(None)
    reading.finish()
    assert not reading.recorded._passed
    with pytest.raises(Conflict, match="too large"):
        reading.begin()


async def _put(body: Body, item: bytes | Exception | None) -> None:
    body.items.put_nowait(item)
    await asyncio.sleep(0.001)


def test_a_large_body_is_closed_when_its_reader_leaves(reading: Reading) -> None:
    reading.put(b"more than ten")
    reading.leave()
    reading.finish()
    assert reading.body.is_closed
    with pytest.raises(Conflict, match="too large"):
        reading.begin()


def test_a_large_body_that_breaks_leaves_the_key_free(reading: Reading) -> None:
    reading.put(b"more than ten")
    assert reading.next() == b"more than ten"
    reading.put(OSError("broken"))
    with pytest.raises(OSError, match="broken"):
        reading.next()
    assert isinstance(reading.begin(), Claim)


# The lease, and a database that fails


@pytest.mark.django_db(transaction=True)
def test_the_lease_of_a_long_stream_is_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "RENEW_EVERY_S", 0.01)
    reading = Reading(TenantFactory.create())
    first = IdempotentReply.objects.get().lease_until
    while IdempotentReply.objects.get().lease_until == first:
        reading.run(asyncio.sleep(0.01))
    reading.put(b"x", None)
    reading.finish()
    assert reading.begin() == Reply(200, HEADERS, b"x")


def fail(*_: Any) -> Any:
    raise OperationalError("the database is away")


@pytest.fixture
def away(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What finds no database; it is renewed soon, since a stream's first wait begins with the stream."""
    if request.param == "renew":
        monkeypatch.setattr(edge, "RENEW_EVERY_S", 0.01)
    monkeypatch.setattr(idempotency, request.param, fail)
    return str(request.param)


@pytest.mark.parametrize("away", ["finish", "release", "renew"], indirect=True)
def test_a_database_that_is_away_does_not_harm_the_reply(
    away: str, reading: Reading, caplog: pytest.LogCaptureFixture
) -> None:
    reading.body.is_broken = away == "release"
    while away == "renew" and "lease" not in caplog.text:
        reading.run(asyncio.sleep(0.01))
    reading.put(b"one", None)
    assert reading.next() == b"one"
    with pytest.raises(StopAsyncIteration):
        reading.next()
    assert "the database is away" in caplog.text


def test_a_runner_that_lost_its_lease_says_so(reading: Reading, caplog: pytest.LogCaptureFixture) -> None:
    IdempotentReply.objects.all().delete()
    reading.put(b"one", None)
    reading.finish()
    assert "another process ran it too" in caplog.text


def test_a_body_may_be_closed_after_its_loop() -> None:
    async def start() -> Recorded:
        return Recorded(Body(), Claim(0, IdempotentReply().owner), HEADERS)

    loop = asyncio.new_event_loop()
    recorded = loop.run_until_complete(start())
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
    recorded.close()
