"""Servers on loopback that say exactly what a test wants, and know who came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Listener:
    """A server's port, its connections and the requests that came whole."""

    def __init__(self, host: str, port: int, scheme: str) -> None:
        self.host, self.port, self.scheme = host, port, scheme
        self.connections = 0
        self.requests: list[bytes] = []

    def url(self, path: str = "/", *, host: str | None = None, scheme: str | None = None) -> str:
        return f"{scheme or self.scheme}://{host or self.host}:{self.port}{path}"

    @property
    def headers(self) -> dict[str, str]:
        """Those of the last request, names in lower case."""
        lines = self.requests[-1].partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


def replying(reply: bytes) -> Answer:
    """Send these bytes and hang up."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)
        await writer.drain()

    return answer


def redirecting(location: str, status: int = 302) -> Answer:
    return replying(f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode())


@asynccontextmanager
async def listening(
    answer: Answer | None = None,
    *,
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
    reads_body: bool = True,
) -> AsyncIterator[Listener]:
    """A server that reads a request, with its body, and then answers (by default: 200, ``ok``)."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        talks.add(task)
        listener.connections += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                listener.requests.append(await _request(reader, with_body=reads_body))
                await (answer or replying(OK))(reader, writer)
        finally:
            talks.discard(task)
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    server = await asyncio.start_server(talk, host, 0, ssl=tls)
    listener = Listener(host, server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        yield listener
    finally:
        server.close()
        for task in list(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)


async def _request(reader: asyncio.StreamReader, *, with_body: bool) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if with_body and line.lower().startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.partition(b":")[2]))
    return head
