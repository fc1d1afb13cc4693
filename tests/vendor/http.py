"""A small HTTP/1.1 server, measured for speed: keep-alive, Content-Length requests, whole or chunked replies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast


@dataclass(slots=True, eq=False)
class Received:
    """One request, and what became of its answer."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw: bytes
    client: int = 0  # the client's port: the same for requests on one connection
    body: Any = None
    deltas: int = 0
    disconnected: bool = False
    #: Set when the answer is complete or the client is gone.
    ended: threading.Event = field(default_factory=threading.Event)

    def as_dict(self) -> dict[str, Any]:
        """For ``GET /control/log``."""
        return {
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": self.body,
            "deltas": self.deltas,
            "disconnected": self.disconnected,
            "ended": self.ended.is_set(),
        }


_REASONS = {status.value: status.phrase for status in HTTPStatus}
App = Callable[[Received, "Connection"], Coroutine[Any, Any, None] | None]


class Connection(asyncio.Protocol):
    """One client; answers its requests in order. The app replies at once, or returns a coroutine that will."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._current: Received | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport
        self._client = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._client = transport.get_extra_info("peername")[1]
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def connection_lost(self, exc: Exception | None) -> None:
        if self._current is not None:
            self._current.disconnected = True
            self._end()
        if self._task is not None:
            self._task.cancel()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        while self._task is None and not self._transport.is_closing():
            received = self._parse()
            if received is None:
                return
            self._current = received
            answer = self._app(received, self)
            if answer is not None:
                self._task = asyncio.get_running_loop().create_task(answer)
                self._task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.abort()
            raise error
        self._next()

    def _parse(self) -> Received | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return None
        lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
        start = end + 4
        if len(self._buffer) < start + length:
            return None
        raw = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        path, _, query = target.partition("?")
        return Received(method, path, query, headers, raw, self._client)

    def reply(self, status: int, body: bytes, *, kind: str = "application/json", extra: str = "") -> None:
        """A whole answer."""
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\ncontent-type: {kind}\r\n{extra}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode("latin-1") + body)
        self._end()

    def start_stream(self, *, extra: str = "") -> None:
        """The head of an answer that comes in pieces."""
        self._transport.write(
            f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n{extra}"
            f"transfer-encoding: chunked\r\n\r\n".encode("latin-1")
        )

    async def piece(self, data: bytes) -> None:
        """One chunk; waits while the client reads too slowly."""
        self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writable.wait()

    def finish_stream(self) -> None:
        """The end of an answer in pieces, in good order."""
        self._transport.write(b"0\r\n\r\n")
        self._end()

    def abort(self) -> None:
        """Reset the connection."""
        self._current = None
        self._transport.abort()

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def _end(self) -> None:
        if self._current is not None:
            self._current.ended.set()
            self._current = None
