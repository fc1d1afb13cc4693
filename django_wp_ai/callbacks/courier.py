"""Delivers callbacks from the event loop of a worker process until that is told to stop."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from django_wp_ai.bridge import in_pool
from django_wp_ai.callbacks.claims import Claim, claim, release
from django_wp_ai.callbacks.delivery import AWAY, deliver
from django_wp_ai.callbacks.noting import Outcome, note
from django_wp_ai.callbacks.waking import callbacks_waiting
from django_wp_ai.conf import settings
from django_wp_ai.jobs.defects import described

logger = logging.getLogger("django_wp_ai.callbacks")

MAX_BACKOFF_S = 30.0


class Courier:
    """Up to ``CALLBACKS_CONCURRENCY`` deliveries at a time. One for a process; ``run`` is awaited once."""

    def __init__(self) -> None:
        self._poked = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: dict[asyncio.Task[None], Claim] = {}
        self._backoff_s = 0.0

    def poke(self) -> None:
        """Look for callbacks now. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._poked.set)

    async def run(self, stopping: asyncio.Event) -> None:
        """Deliver until ``stopping`` is set, then finish what is under way; what takes too long is given back."""
        self._loop = asyncio.get_running_loop()
        callbacks_waiting.connect(self._on_waiting)
        try:
            while not stopping.is_set():
                self._poked.clear()
                await self._pause(stopping, await self._begin_some())
        finally:
            callbacks_waiting.disconnect(self._on_waiting)
            await self._drain()

    def _on_waiting(self, **_: Any) -> None:
        self.poke()

    async def _begin_some(self) -> float:
        """Begin what is due and there is room for; for how long to pause then."""
        poll_s: float = settings.job_poll_s
        room = settings.callbacks_concurrency - len(self._under_way)
        if room <= 0:
            return poll_s  # the end of a delivery pokes
        try:
            claims = await in_pool(claim, at_most=room)
        except Exception as error:  # noqa: BLE001 - a worker outlives whatever a database says
            why = type(error).__name__ if isinstance(error, AWAY) else described(error)
            logger.warning("Callbacks can't be taken now: %s.", why)
            self._backoff_s = min(MAX_BACKOFF_S, max(poll_s, 2 * self._backoff_s))
            return self._backoff_s
        self._backoff_s = 0.0
        for one in claims:
            task = asyncio.create_task(self._deliver(one))
            self._under_way[task] = one
            task.add_done_callback(self._ended)
        return 0.0 if claims else poll_s

    async def _deliver(self, one: Claim) -> None:
        try:
            await deliver(one)
        except AWAY as error:
            slug = one.callback.tenant.slug
            logger.warning(
                "Callback %s of tenant %s is tried again when its lease is over: %s.",
                one.callback.pk,
                slug,
                type(error).__name__,
            )
        except Exception as error:  # noqa: BLE001 - a defect, logged by its place: its message may quote the row
            logger.error("The delivery of callback %s broke off: %s", one.callback.pk, described(error))
            await in_pool(note, one, Outcome(error="internal"))

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("The end of a delivery could not be noted: %s.", type(error).__name__)
        self._poked.set()

    async def _pause(self, stopping: asyncio.Event, seconds: float) -> None:
        """Until somebody pokes, ``stopping`` is set, or the time is over."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._poked, stopping)]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _drain(self) -> None:
        if not self._under_way:
            return
        await asyncio.wait(self._under_way, timeout=settings.job_drain_s)
        late = dict(self._under_way)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        if late:
            await in_pool(release, list(late.values()))
