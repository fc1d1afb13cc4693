"""How many calls one process makes to a provider at once; the others wait their turn, for a while."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from weakref import WeakKeyDictionary

from django_wp_ai.exceptions import ProviderUnavailable

RETRY_AFTER_S = 1.0


class Bound:
    """So many calls at once on one event loop, first come, first served; a process has one loop that calls providers.

    It fails closed: who waits too long is refused.
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("At least one call must be possible at once.")
        self.limit = limit
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._lock = threading.Lock()

    @asynccontextmanager
    async def permit(self, *, deadline_s: float) -> AsyncIterator[None]:
        """Hold a place while the block runs; raises ProviderUnavailable when none is free by ``deadline_s``.

        The deadline is a reading of ``time.monotonic``.
        """
        places = self._of_this_loop()
        try:
            async with asyncio.timeout(deadline_s - time.monotonic() if places.locked() else None):
                await places.acquire()
        except TimeoutError:
            detail = "Too many calls to the AI provider are under way."
            raise ProviderUnavailable(detail, retryable=True, retry_after_s=RETRY_AFTER_S) from None
        try:
            yield
        finally:
            places.release()

    def _of_this_loop(self) -> asyncio.Semaphore:
        loop = asyncio.get_running_loop()
        found = self._places.get(loop)
        if found is None:
            with self._lock:  # loops of other threads may begin at the same time
                for closed in [other for other in self._places if other.is_closed()]:
                    del self._places[closed]  # a semaphore refers to its loop, so the weak key alone would keep both
                found = self._places.setdefault(loop, asyncio.Semaphore(self.limit))
        return found


_bounds: dict[tuple[str, int], Bound] = {}


def permit(provider_name: str, limit: int, *, deadline_s: float) -> AbstractAsyncContextManager[None]:
    """One of the provider's ``limit`` places in this process, as ``Bound.permit``."""
    bound = _bounds.get((provider_name, limit))
    if bound is None:
        bound = _bounds.setdefault((provider_name, limit), Bound(limit))
    return bound.permit(deadline_s=deadline_s)
