"""A load generator on bare sockets: so many connections, each sending its next request when it has its answer.

It has to cost far less than what it measures, so it knows only as much HTTP as the servers of this benchmark speak:
answers with a Content-Length or in chunks, one at a time on a kept connection.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import uvloop

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send where: ``request`` makes the next request's bytes, ``first`` stands in an answer's first delta."""

    port: int
    request: Callable[[], bytes]
    first: bytes = b""


@dataclass(slots=True)
class Sample:
    """What a run saw: seconds to the first delta and to the end of each answer that ended within ``elapsed_s``."""

    elapsed_s: float = 0.0
    first_s: list[float] = field(default_factory=list)
    whole_s: list[float] = field(default_factory=list)
    sent: int = 0  # also before and after the measured time

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.whole_s) / self.elapsed_s


def percentile(values: list[float], percent: float) -> float:
    """The value that ``percent`` of the values don't exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Caller(asyncio.Protocol):
    """One connection; ``done`` ends with it, or raises what was wrong with an answer."""

    def __init__(self, plan: Plan, sample: Sample, *, start_at: float, stop_at: float) -> None:
        self._plan = plan
        self._sample = sample
        self._start_at = start_at
        self._stop_at = stop_at
        self._answer = bytearray()
        self._sent_at = 0.0
        self._first_at = 0.0
        self._transport: asyncio.Transport
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._send()

    def _send(self) -> None:
        request = self._plan.request()
        self._answer.clear()
        self._first_at = 0.0
        self._sample.sent += 1
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._answer += data
        if not self._first_at and self._plan.first and self._plan.first in self._answer:
            self._first_at = now
        if not _is_complete(self._answer):
            return
        if not self._answer.startswith(b"HTTP/1.1 20") or (self._plan.first and not self._first_at):
            self._end(RuntimeError(f"The server answered {bytes(self._answer[:2000])!r}"))
            return
        if self._start_at <= self._sent_at and now <= self._stop_at:
            self._sample.whole_s.append(now - self._sent_at)
            self._sample.first_s.append((self._first_at or now) - self._sent_at)
        if now < self._stop_at:
            self._send()
        else:
            self._end(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or ConnectionError("The server closed the connection."))

    def _end(self, error: Exception | None) -> None:
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)
        self._transport.close()


def _is_complete(answer: bytearray) -> bool:
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    at = answer.lower().find(b"\r\ncontent-length:", 0, head)
    if at < 0:
        return answer.endswith(LAST_CHUNK)
    end = answer.find(b"\r\n", at + 2)
    return len(answer) - head - 4 >= int(answer[at + 17 : end])


def once(plan: Plan) -> None:
    """One request alone: a server's first answer waits for its imports."""
    uvloop.run(_call(plan, Sample(), connections=1, spread_s=0, start_at=0, stop_at=0))


def run(plan: Plan, *, connections: int, warm_up_s: float, seconds: float) -> Sample:
    """Load a server for ``seconds`` after a warm-up; every request that was begun is answered when this returns."""
    return uvloop.run(_run(plan, connections, warm_up_s, seconds))


async def _run(plan: Plan, connections: int, warm_up_s: float, seconds: float) -> Sample:
    sample = Sample(elapsed_s=seconds)
    start_at = time.perf_counter() + warm_up_s
    await _call(
        plan,
        sample,
        connections=connections,
        spread_s=min(1.0, warm_up_s),
        start_at=start_at,
        stop_at=start_at + seconds,
    )
    if not sample.whole_s:
        raise RuntimeError(f"No answer began and ended within {seconds} s: measure for longer.")
    return sample


async def _call(
    plan: Plan, sample: Sample, *, connections: int, spread_s: float, start_at: float, stop_at: float
) -> None:
    async def caller(number: int) -> None:
        await asyncio.sleep(spread_s * number / connections)  # visitors don't come in step
        _, protocol = await asyncio.get_running_loop().create_connection(
            lambda: Caller(plan, sample, start_at=start_at, stop_at=stop_at), "127.0.0.1", plan.port
        )
        await protocol.done

    await asyncio.gather(*(caller(number) for number in range(connections)))
