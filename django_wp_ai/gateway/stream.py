"""A stream between a provider and a client who may leave at any moment."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Final, Protocol

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatResult, Delta, ToolCall, Usage
from django_wp_ai.exceptions import ProviderError, ProviderTimeout, WpAiError
from django_wp_ai.gateway import answer_cache, attempts, entry, ledger
from django_wp_ai.gateway.admission import Admitted
from django_wp_ai.gateway.buffer import Buffer
from django_wp_ai.gateway.restoring import StreamRestorer, restored_call
from django_wp_ai.gateway.routing import Target
from django_wp_ai.gateway.transcript import Transcript
from django_wp_ai.gateway.waiting import covered

logger = logging.getLogger("django_wp_ai.gateway")

BUFFERED_DELTAS: Final = 64
STALLED_READER_S: Final = 60.0
LONGEST_S: Final = 3600.0  # the sweep takes calls for dead that are older than twice that
RENEW_S: Final = 30.0  # how often a stream says that it still holds its place


class DeltaStream(Protocol):
    """What an edge reads: one call's stream, or the streams of several as one (``tools.stream``)."""

    @property
    def call(self) -> ledger.Call:
        """The call; settled once the deltas are over."""

    @property
    def tool_calls(self) -> Mapping[tuple[int, int], ToolCall]:
        """The tool calls so far, by choice and index."""

    async def next(self, *, timeout_s: float | None = None) -> Delta | None:
        """The next delta, None at the end; raises TimeoutError after silence and what broke the stream."""

    def leave(self) -> None:
        """The reader is gone (or done)."""


class ChatStream:
    """Deltas as they arrive; ``call`` holds the settled usage once they are over.

    A task of its own (``pump``) reads the provider and settles, so it needs no reader: when the reader leaves, it reads
    on for ``DISCONNECT_DRAIN_S`` to learn the true usage, then stops and estimates.
    """

    call: ledger.Call  # from the first delta on

    def __init__(self, admitted: Admitted) -> None:
        self._admitted = admitted
        self._transcript = Transcript()
        self._restorer = StreamRestorer(admitted.vault)
        self._buffer: Buffer[Delta | Exception | None] = Buffer(BUFFERED_DELTAS)
        self._loop = asyncio.get_running_loop()
        self._pump_task: asyncio.Task[object] | None = None
        self._left = False
        self._reading = False
        self._sent = False
        self._renewed_at = time.monotonic()
        self._first: Delta | None = None
        self._over = False

    @property
    def tool_calls(self) -> dict[tuple[int, int], ToolCall]:
        """The tool calls so far, by choice and index, personal data put back."""
        vault = self._admitted.vault
        calls = self._transcript.tool_calls
        return calls if vault is None else {key: restored_call(vault, call) for key, call in calls.items()}

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
        async with asyncio.timeout(None if self._buffer else timeout_s):
            return await self._buffer.get()

    def leave(self) -> None:
        """The reader is gone (or done). May be called from any thread, and more than once."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._drain)

    def _drain(self) -> None:
        if self._left:
            return
        self._left = True
        self._buffer.clear()
        self._loop.call_later(settings.disconnect_drain_s, self._stop_reading)

    def _stop_reading(self) -> None:
        if self._reading and self._pump_task is not None:
            self._pump_task.cancel()

    # -- the provider's side -----------------------------------------------------------------------------------------

    async def pump(self) -> None:
        """Open the usage row, read the provider to its end, settle; what fails is handed to the reader."""
        self._pump_task = asyncio.current_task()
        try:
            entered = await covered(
                self._admitted.principal.tenant, partial(entry.enter, self._admitted, streamed=True)
            )
        except Exception as refused:
            if not isinstance(refused, WpAiError):
                logger.exception("a stream could not be opened")
            await self._put(refused)
            return
        self.call = entered.call
        if entered.kept is not None:
            await self._replay(entered.kept)
            return
        error, error_code = (None, "disconnected") if self._left else await self._read()
        self._reading = False
        await self._close(error, error_code)
        if error is not None:
            error.fields.update(ledger.limit_fields(self.call))
        await self._put(error)

    async def _replay(self, kept: ChatResult) -> None:
        """Hand over an answer from the cache as the stream it would have been."""
        for delta in answer_cache.deltas_of(kept):
            self._transcript.add(delta)
            await self._hand_over(delta)
        await self._put(None)

    async def _read(self) -> tuple[ProviderError | None, str]:
        """Hand over every delta; how it ended, as an error or the ledger's word for it."""
        self._reading = True
        try:
            async with attempts.answered(self.call, self._begin) as (head, deltas), aclosing(deltas):
                for delta in head:
                    await self._take_in(delta)
                async for delta in deltas:
                    await self._take_in(delta)
        except ProviderError as error:
            return error, ""
        except asyncio.CancelledError:
            return None, "disconnected"
        except Exception:
            logger.exception("stream %s broke", self.call.id)
            return ProviderError(charged=True), ""
        return None, ""

    async def _begin(self, target: Target) -> tuple[list[Delta], AsyncGenerator[Delta, None]]:
        """Ask one candidate, up to the first delta that a reader would see; until then another may be asked."""
        self._sent = True
        deltas = target.provider.stream(self._admitted.request, model=target.model)
        head: list[Delta] = []
        try:
            async for delta in deltas:
                head.append(delta)
                if _is_visible(delta):
                    break
        except ProviderError:
            raise
        except Exception as error:  # what a provider must not raise is its failure too
            logger.exception("stream %s broke", self.call.id)
            raise ProviderError(charged=True) from error
        return head, deltas

    async def _take_in(self, delta: Delta) -> None:
        now_s = time.monotonic()
        if self.call.first_token_at is None:
            self.call.first_token_at = now_s
        if now_s - self.call.started_at > LONGEST_S:
            raise ProviderTimeout("The stream took too long.", charged=True)
        if now_s - self._renewed_at > RENEW_S:
            self._renewed_at = now_s
            await in_thread(ledger.renew, self.call)
        self._transcript.add(delta)
        await self._hand_over(delta)

    async def _hand_over(self, delta: Delta) -> None:
        for shown in self._restorer.feed(delta):
            if _is_visible(shown):
                await self._put(shown)

    async def _put(self, item: Delta | Exception | None) -> None:
        if self._left:
            return
        try:
            async with asyncio.timeout(STALLED_READER_S if self._buffer.is_full else None):
                await self._buffer.put(item)
        except TimeoutError:
            self._drain()
            # Should it read again, it learns that the rest is lost, and not that this was all.
            await self._buffer.put(ProviderError("The stream was not read in time."))

    async def _close(self, error: ProviderError | None, error_code: str) -> None:
        """Settle; an answer that came to its end is kept as one that was not streamed is."""
        seen, call = self._transcript, self.call
        call.finish_reason, call.model = seen.finish_reason, seen.model or call.target.model
        unsent = error_code == "disconnected" and not self._sent
        received = seen.received
        if seen.usage is not None:
            usage = seen.usage
        elif unsent or (error is not None and not error.charged and not received):
            usage = Usage()
        else:
            usage = await in_thread(self._admitted.estimated, received)
        if error is None and not error_code:
            await entry.close(call, seen.result(usage))
            return
        try:
            await in_thread(ledger.settle, call, usage, error=error, error_code=error_code)
        except Exception:
            logger.exception("call %s could not be settled; its row stays pending", call.id)


def _is_visible(delta: Delta) -> bool:
    return bool(delta.text or delta.tool_call or delta.refusal or delta.finish_reason)
