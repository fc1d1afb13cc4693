"""A stream that is kept while it passes, so that it can be given again."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from django.http import HttpRequest

from django_wp_ai.api import idempotency
from django_wp_ai.conf import settings
from django_wp_ai.gateway.idempotency import Claim, Reply

#: A comment for a client that waits in silence; it is no part of what is kept.
HEARTBEAT: Final = b": keep-alive\n\n"


class StreamBody(AsyncGenerator[bytes, None]):
    """A streamed reply's body; ``close`` tells that the client is gone, from whatever thread."""

    is_broken = False  # it ended with an error inside

    async def asend(self, value: None) -> bytes:  # noqa: ARG002 - the signature is Python's
        """As ``anext``: a body takes no answer."""
        return await anext(self)

    async def athrow(self, *error: Any) -> bytes:
        """End the body."""
        await self.aclose()
        raise error[0] if error else GeneratorExit

    @abstractmethod
    def close(self) -> None:
        """The client is gone."""


class Recorded(StreamBody):
    """Reads ``body`` to its end in a task of its own and keeps it under ``claim``; the client reads along.

    A client that leaves does not end it: it may come back with the same key. Only a body that is too large to be kept
    is of use to nobody then, and is closed.
    """

    def __init__(self, body: StreamBody, claim: Claim, headers: dict[str, str]) -> None:
        self._body = body
        self._claim = claim
        self._headers = headers
        self._passed = bytearray()  # from its beginning as long as it may be kept, then what is not read yet
        self._read = 0
        self._is_kept = True
        self._is_left = False
        self._is_over = False
        self._is_silent = False
        self._error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._news, self._room = asyncio.Event(), asyncio.Event()
        idempotency.in_background(self._record())

    # -- the client's side -------------------------------------------------------------------------------------------

    async def __anext__(self) -> bytes:
        """What came since the last time."""
        while True:
            if self._read < len(self._passed):
                return self._take()
            if self._is_over:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            if self._is_silent:
                self._is_silent = False
                return HEARTBEAT
            self._news.clear()
            await self._news.wait()

    def _take(self) -> bytes:
        chunk = bytes(memoryview(self._passed)[self._read :])
        self._read = len(self._passed)
        if not self._is_kept:
            self._passed.clear()
            self._read = 0
            self._room.set()
        return chunk

    async def aclose(self) -> None:
        """The client reads no more."""
        self._leave()

    def close(self) -> None:
        """The client is gone."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._is_left = True
        self._room.set()

    # -- the body's side ---------------------------------------------------------------------------------------------

    async def _record(self) -> None:
        lease = idempotency.hold(self._claim)
        try:
            await self._read_on()
        finally:
            lease.cancel()
            self._is_over = True
            self._news.set()

    async def _read_on(self) -> None:
        is_whole = False
        try:
            while self._is_kept or not self._is_left:
                await self._add(await anext(self._body))
        except StopAsyncIteration:
            is_whole = not self._body.is_broken
        except Exception as error:  # noqa: BLE001 - the client's read raises it
            self._error = error
        finally:
            await self._body.aclose()
            await self._settle(is_whole=is_whole)

    async def _add(self, chunk: bytes) -> None:
        if chunk == HEARTBEAT:
            self._is_silent = True
        else:
            self._is_silent = False
            self._passed += chunk
        self._news.set()
        if self._is_kept and len(self._passed) > settings.idempotency_max_bytes:
            self._is_kept = False
            del self._passed[: self._read]
            self._read = 0
        while not self._is_kept and not self._is_left and len(self._passed) > settings.idempotency_max_bytes:
            self._room.clear()
            await self._room.wait()

    async def _settle(self, *, is_whole: bool) -> None:
        """Keep what is whole; what broke is free for a fresh attempt."""
        if not self._is_kept and self._error is None and not self._body.is_broken:
            await idempotency.keep(self._claim, Reply(200, self._headers, None))
        elif is_whole:
            await idempotency.keep(self._claim, Reply(200, self._headers, bytes(self._passed)))
        else:
            await idempotency.release(self._claim)


def recorded(request: HttpRequest, body: StreamBody, headers: Mapping[str, str]) -> StreamBody:
    """``body``, kept when the request has an idempotency key."""
    keyed = idempotency.keyed(request)
    if keyed is None or keyed.claim is None:
        return body
    keyed.is_recorded = True
    return Recorded(body, keyed.claim, idempotency.kept_headers(request, headers))
