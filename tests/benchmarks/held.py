"""What open streams cost in memory, and whether one of them stalls: many held open at once, delta by delta."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from http.client import HTTPConnection

from tests.benchmarks.calls import DELTAS, Request
from tests.benchmarks.load import LAST_CHUNK
from tests.benchmarks.servers import Server

PATIENCE_S = 60.0
FIRST_ONES = 50  # opened before memory is looked at: they start the threads and connections that all streams share


@dataclass(frozen=True, slots=True)
class Held:
    """Memory of the server with ``streams`` more streams than the first ones."""

    streams: int
    before_mb: float
    open_mb: float

    @property
    def kb_each(self) -> float:
        """KB for each stream."""
        return (self.open_mb - self.before_mb) * 1000 / self.streams

    def __str__(self) -> str:
        return (
            f"{self.streams} streams held open at once, beside {FIRST_ONES} that were there before: "
            f"{self.kb_each:.0f} KB of memory each ({self.before_mb:.0f} MB before, {self.open_mb:.0f} MB with them). "
            "None stalled: each delivered its next delta while all were open."
        )


def measure(app: Server, vendor: Server, request: Request, *, streams: int) -> Held:
    """Hold ``streams`` streams open; ``request`` must ask the stand-in to hold its deltas. Raises when one stalls."""
    return asyncio.run(_measure(app, vendor, request, streams))


async def _measure(app: Server, vendor: Server, request: Request, streams: int) -> Held:
    opened = [await _send(app, request()) for _ in range(FIRST_ONES)]
    await _round(vendor, [reader for reader, _ in opened], DELTAS[0])
    before_mb = app.rss_mb
    opened += [await _send(app, request()) for _ in range(streams)]
    readers = [reader for reader, _ in opened]
    await _round(vendor, readers[FIRST_ONES:], DELTAS[0])
    open_mb = app.rss_mb
    await _round(vendor, readers, DELTAS[1])  # every stream must deliver while all the others are open too
    await asyncio.to_thread(_release, vendor, {"all": True})
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(reader.readuntil(LAST_CHUNK) for reader in readers))
    for _, writer in opened:
        writer.close()
    return Held(streams, before_mb, open_mb)


async def _round(vendor: Server, readers: list[asyncio.StreamReader], delta: bytes) -> None:
    """Have the stand-in send a delta on every stream and wait until each has arrived."""
    waiting = {asyncio.create_task(reader.readuntil(delta)) for reader in readers}
    give_up_at = time.monotonic() + PATIENCE_S
    while waiting:  # a delta for each that has come as far as waiting for one
        await asyncio.to_thread(_release, vendor, {"count": len(waiting)})
        arrived, waiting = await asyncio.wait(waiting, timeout=0.5)
        for task in arrived:
            task.result()
        if waiting and time.monotonic() > give_up_at:
            raise RuntimeError(f"{len(waiting)} of {len(readers)} streams stalled before {delta.decode()}.")


async def _send(app: Server, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(request)
    return reader, writer


def _release(vendor: Server, wished: dict[str, object]) -> None:
    connection = HTTPConnection("127.0.0.1", vendor.port)
    connection.request("POST", "/control/release", json.dumps(wished))
    connection.getresponse().read()
    connection.close()
