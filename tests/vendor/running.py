"""Start a stand-in for a test: ``with vendor() as running: … running.url``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.vendor.http import Received
from tests.vendor.vendor import Vendor


class RunningVendor:
    """A stand-in in a thread of its own, and what a test asks it."""

    def __init__(self, vendor: Vendor, loop: asyncio.AbstractEventLoop, url: str) -> None:
        self._vendor = vendor
        self._loop = loop
        self.url = url
        #: Where OpenAI's clients expect the base URL to end.
        self.openai_url = f"{url}/v1"

    @property
    def requests(self) -> list[Received]:
        """What was received since the last ``clear``, oldest first."""
        return list(self._vendor.requests)

    @property
    def last(self) -> Received:
        """The newest request."""
        return self._vendor.requests[-1]

    def clear(self) -> None:
        """Forget what was received, and any release not used."""
        self._call(self._vendor.clear)

    def release(self, count: int | None = 1) -> None:
        """Let ``count`` held deltas go, or all of them from now on with ``None``."""
        self._call(self._vendor.release, count)

    def _call(self, call: Any, *args: Any) -> None:
        done = threading.Event()

        def work() -> None:
            call(*args)
            done.set()

        self._loop.call_soon_threadsafe(work)
        done.wait()


@contextmanager
def vendor() -> Iterator[RunningVendor]:
    """A stand-in on a free port, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="vendor", daemon=True)
    thread.start()

    async def start() -> tuple[Vendor, asyncio.Server]:
        state = Vendor()
        return state, await loop.create_server(state.connection, "127.0.0.1", 0)

    async def stop(state: Vendor, server: asyncio.Server) -> None:
        server.close()
        state.hang_up()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    state, server = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield RunningVendor(state, loop, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        asyncio.run_coroutine_threadsafe(stop(state, server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
