"""A stream between a provider and a client who may leave at any moment."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import Final

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Delta, ToolCall, Usage
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.admission import Admitted

logger = logging.getLogger("django_wp_ai.gateway")

BUFFERED_DELTAS: Final = 64
STALLED_READER_S: Final = 60.0


class ChatStream:
    """Deltas as they arrive; ``call`` holds the settled usage once they are over.

    A task of its own (``pump``) reads the provider and settles, so it needs no reader: when the reader leaves, it reads
    on for ``DISCONNECT_DRAIN_S`` to learn the true usage, then stops and estimates.
    """

    call: ledger.Call  # from the first delta on

    def __init__(self, admitted: Admitted, origin: ledger.Origin) -> None:
        self._admitted = admitted
        self._origin = origin
        self.tool_calls: dict[tuple[int, int], ToolCall] = {}
        self._queue: asyncio.Queue[Delta | Exception | None] = asyncio.Queue(BUFFERED_DELTAS)
        self._loop = asyncio.get_running_loop()
        self._pump_task: asyncio.Task[object] | None = None
        self._received: list[str] = []
        self._usage: Usage | None = None
        self._left = False
        self._reading = False
        self._sent = False
        self._first: Delta | None = None
        self._over = False

    # -- the reader's side -------------------------------------------------------------------------------------------

    async def first(self) -> None:
        """Wait for the first delta; raises what the provider refused with."""
        self._first = await self.next()

    async def next(self, *, timeout_s: float | None = None) -> Delta | None:
        """The next delta, None at the end; raises TimeoutError after silence and what broke the stream."""
        if self._first is not None:
            delta, self._first = self._first, None
            return delta
        if self._over:
            return None
        item = await self._take(timeout_s)
        if isinstance(item, Delta):
            return item
        self._over = True
        if item is not None:
            raise item
        return None

    async def _take(self, timeout_s: float | None) -> Delta | Exception | None:
        try:
            return self._queue.get_nowait()
        except asyncio.QueueEmpty:
            async with asyncio.timeout(timeout_s):
                return await self._queue.get()

    def leave(self) -> None:
        """The reader is gone (or done). May be called from any thread, and more than once."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        if self._left:
            return
        self._left = True
        while not self._queue.empty():  # a pump that waits for room goes on
            self._queue.get_nowait()
        self._loop.call_later(settings.disconnect_drain_s, self._stop_reading)

    def _stop_reading(self) -> None:
        if self._reading and self._pump_task is not None:
            self._pump_task.cancel()

    # -- the provider's side -----------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Open the usage row, read the provider to its end, settle; what fails is handed to the reader."""
        self._pump_task = asyncio.current_task()
        try:
            self.call = await in_thread(ledger.open_call, self._admitted, self._origin, streamed=True)
        except Exception as refused:  # noqa: BLE001 - the reader raises it
            await self._put(refused)
            return
        error, error_code = (None, "disconnected") if self._left else await self._read()
        self._reading = False
        try:
            await self._settle(error, error_code)
        except Exception:
            logger.exception("call %s could not be settled; its row stays pending", self.call.id)
        if error is not None:
            error.fields.update(ledger.limit_fields(self.call))
        await self._put(error)

    async def _read(self) -> tuple[ProviderError | None, str]:
        """Hand over every delta; how it ended, as an error or the ledger's word for it."""
        target, request = self.call.admitted.target, self.call.admitted.request
        self._reading = self._sent = True
        try:
            async with aclosing(target.provider.stream(request, model=target.model)) as deltas:
                async for delta in deltas:
                    self._observe(delta)
                    await self._hand_over(delta)
        except ProviderError as error:
            return error, ""
        except asyncio.CancelledError:
            return None, "disconnected"
        except Exception:
            logger.exception("stream %s broke", self.call.id)
            return ProviderError(charged=True), ""
        return None, ""

    def _observe(self, delta: Delta) -> None:
        if self.call.first_token_at is None:
            self.call.first_token_at = time.monotonic()
        if delta.text:
            self._received.append(delta.text)
        if delta.tool_call is not None:
            self._add_tool_call(delta)
        if delta.finish_reason and not self.call.finish_reason:
            self.call.finish_reason = delta.finish_reason
        if delta.model:
            self.call.model = delta.model
        if delta.usage is not None:
            self._usage = delta.usage

    def _add_tool_call(self, delta: Delta) -> None:
        piece = delta.tool_call
        assert piece is not None
        self._received.append(piece.name + piece.arguments)
        key = (delta.choice, piece.index)
        known = self.tool_calls.get(key, ToolCall("", "", ""))
        self.tool_calls[key] = ToolCall(
            known.id or piece.id, known.name or piece.name, known.arguments + piece.arguments
        )

    async def _hand_over(self, delta: Delta) -> None:
        if delta.text or delta.tool_call or delta.refusal or delta.finish_reason:
            await self._put(delta)

    async def _put(self, item: Delta | Exception | None) -> None:
        if self._left:
            return
        try:
            self._queue.put_nowait(item)
        except asyncio.QueueFull:
            try:
                async with asyncio.timeout(STALLED_READER_S):
                    await self._queue.put(item)
            except TimeoutError:
                self._drain()
                # Should it read again, it learns that the rest is lost, and not that this was all.
                self._queue.put_nowait(ProviderError("The stream was not read in time."))

    async def _settle(self, error: ProviderError | None, error_code: str) -> None:
        usage = self._usage
        if usage is None:
            unsent = error_code == "disconnected" and not self._sent
            if unsent or (error is not None and not error.charged and not self._received):
                usage = Usage()
            else:
                received = "".join(self._received)
                usage = await in_thread(ledger.estimate, self._admitted, received=received)
        await in_thread(ledger.settle, self.call, usage, error=error, error_code=error_code)
