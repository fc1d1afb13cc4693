"""One kept HTTP/1.1 connection to a vendor: sends a request, hands over its response, is free for the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

import httptools
import httpx2

BUFFERED_BYTES = 256 * 1024  # of a response that is read more slowly than it comes


class Connection(asyncio.Protocol):
    """Carries one request at a time; what fails is raised as httpx2 names it."""

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._chunks: deque[bytes] = deque()
        self._buffered = 0
        self._reading_paused = False
        self._writing_paused = False
        self._until_close = False
        self._has_head = False
        self._complete = True
        self._keeps_alive = False
        self.status = 0
        self.reason = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.expiry: asyncio.TimerHandle | None = None

    # -- the pool's side ---------------------------------------------------------------------------------------------

    @property
    def is_reusable(self) -> bool:
        """Whether another request may be sent: the last response is over and both sides keep the connection."""
        return self._complete and self._keeps_alive and self._transport is not None

    async def send(self, request: bytes, *, read_s: float | None, write_s: float | None) -> None:
        """Send a request and wait for the head of its response."""
        self.headers, self.reason = [], b""
        self._has_head = self._complete = self._keeps_alive = False
        if self._transport is None:
            raise httpx2.ConnectError("The connection was closed before the request was sent.")
        self._transport.write(request)
        while not self._has_head:
            if self._writing_paused:
                await self._wait(write_s, httpx2.WriteTimeout("The request was not taken in time."))
            else:
                await self._wait(read_s, httpx2.ReadTimeout("No answer came in time."))

    async def read(self, *, read_s: float | None) -> bytes:
        """What has come of the body since the last time; empty at its end."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._wait(read_s, httpx2.ReadTimeout("The answer stopped coming."))
        data = self._chunks.popleft() if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._reading_paused and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Close at once."""
        if self.expiry is not None:
            self.expiry.cancel()
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, timeout_s: float | None, late: httpx2.TimeoutException) -> None:
        """Until something happens; raises what went wrong."""
        if self._error is not None:
            raise self._error
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if timeout_s is None else loop.call_later(timeout_s, self._fail, late)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()
        if self._error is not None and not self._chunks:
            raise self._error

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        self.abort()
        self._wake()

    # -- the event loop's side ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        """Parse what came; what nobody asked for ends the connection."""
        if self._complete:
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(httpx2.RemoteProtocolError("The answer is not HTTP."))
        else:
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """A body without a length ends here in good order, any other one is cut."""
        self._transport = None
        if self._has_head and self._until_close and exc is None:
            self._complete = True
            self._wake()
        elif not self._complete:
            cut = (
                httpx2.ReadError("The connection broke.") if exc else httpx2.RemoteProtocolError("The server hung up.")
            )
            self._fail(cut)
        self._on_lost(self)

    def pause_writing(self) -> None:
        """The server takes the request more slowly than we give it."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """It has taken most of it."""
        self._writing_paused = False
        self._wake()

    # -- the parser's side -------------------------------------------------------------------------------------------

    def on_status(self, reason: bytes) -> None:
        """A part of the reason phrase."""
        self.reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole; one that only informs (1xx) is followed by the real one."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200
        self._until_close = not any(
            name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self.headers
        )

    def on_body(self, body: bytes) -> None:
        """A part of the body; too much of it that nobody reads makes the server wait."""
        self._chunks.append(body)
        self._buffered += len(body)
        if self._buffered > BUFFERED_BYTES and not self._reading_paused and self._transport is not None:
            self._reading_paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        """The end of a head that only informed, or of the response."""
        if self._has_head:
            self._complete = True
            self._keeps_alive = self._parser.should_keep_alive() and not self._until_close
        else:
            self.headers, self.reason = [], b""
