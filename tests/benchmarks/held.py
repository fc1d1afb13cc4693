"""What an open stream costs in memory: many held open at once, after their first delta."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from http.client import HTTPConnection

from tests.benchmarks.calls import FIRST, Request
from tests.benchmarks.load import LAST_CHUNK
from tests.benchmarks.servers import Server


@dataclass(frozen=True, slots=True)
class Held:
    """Memory of the server with ``streams`` open streams beyond what it had with none."""

    streams: int
    before_mb: float
    open_mb: float

    @property
    def kb_each(self) -> float:
        """KB for each stream."""
        return (self.open_mb - self.before_mb) * 1000 / self.streams

    def __str__(self) -> str:
        return (
            f"{self.streams} streams held open at once: {self.kb_each:.0f} KB of memory each "
            f"({self.before_mb:.0f} MB before, {self.open_mb:.0f} MB with them)."
        )


def measure(app: Server, vendor: Server, request: Request, *, streams: int) -> Held:
    """Hold ``streams`` streams open; ``request`` must ask the stand-in to hold its deltas."""
    return asyncio.run(_measure(app, vendor, request, streams))


async def _measure(app: Server, vendor: Server, request: Request, streams: int) -> Held:
    before_mb = app.rss_mb
    opened = [await _send(app, request()) for _ in range(streams)]
    first = [asyncio.create_task(reader.readuntil(FIRST)) for reader, _ in opened]
    while not all(task.done() for task in first):  # a delta for each that has come as far as waiting for one
        await asyncio.to_thread(_release, vendor, {"count": sum(not task.done() for task in first)})
        await asyncio.sleep(0.2)
    await asyncio.gather(*first)
    held = Held(streams, before_mb, app.rss_mb)
    await asyncio.to_thread(_release, vendor, {"all": True})
    await asyncio.gather(*(reader.readuntil(LAST_CHUNK) for reader, _ in opened))
    for _, writer in opened:
        writer.close()
    return held


async def _send(app: Server, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
    writer.write(request)
    return reader, writer


def _release(vendor: Server, wished: dict[str, object]) -> None:
    connection = HTTPConnection("127.0.0.1", vendor.port)
    connection.request("POST", "/control/release", json.dumps(wished))
    connection.getresponse().read()
    connection.close()
