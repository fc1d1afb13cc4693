"""How requests reach a vendor: a transport for httpx2 over kept connections, with a parser in C.

httpx2's own looks at each open connection twice a call, reads through layers of cancel scopes and parses in Python. It
took 450 µs of processor time a call where this takes 130, and more with each stream that is open.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any
from urllib.request import getproxies

import httpx2

from django_wp_ai.providers.connection import Connection

KEPT_S = 30.0  # how long a connection is kept that nobody uses

Origin = tuple[str, str, int]


def transport(*, max_connections: int) -> httpx2.AsyncBaseTransport | None:
    """The transport for a client, for one event loop; None, so that httpx2 takes its own, where there is a proxy."""
    if {"http", "https", "all"} & set(getproxies()):
        return None
    return KeptConnections(max_connections=max_connections)


class KeptConnections(httpx2.AsyncBaseTransport):
    """At most ``max_connections`` requests at a time; who comes later waits for the ``pool`` timeout."""

    def __init__(self, *, max_connections: int) -> None:
        self._free = asyncio.Semaphore(max_connections)
        self._idle: dict[Origin, dict[Connection, None]] = {}

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's head is there, its body is read by the caller."""
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        head, body = _head(request), await request.aread()
        await self._take_place(timeouts.get("pool"))
        connection: Connection | None = None
        try:
            origin = _origin(request.url)
            connection = self._kept(origin) or await self._open(origin, timeouts.get("connect"))
            await connection.send(head + body, read_s=timeouts.get("read"), write_s=timeouts.get("write"))
        except BaseException:
            if connection is not None:
                connection.abort()
            self._free.release()
            raise
        return httpx2.Response(
            connection.status,
            headers=connection.headers,
            stream=_Body(self, origin, connection, timeouts.get("read")),
            extensions={"http_version": b"HTTP/1.1", "reason_phrase": connection.reason},
        )

    async def _take_place(self, timeout_s: float | None) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._free.acquire()
        except TimeoutError:
            raise httpx2.PoolTimeout("All connections are busy.") from None

    def _kept(self, origin: Origin) -> Connection | None:
        """The connection that was used last, as it is the least likely to be closed."""
        idle = self._idle.get(origin)
        while idle:
            connection, _ = idle.popitem()
            if connection.expiry is not None:
                connection.expiry.cancel()
            if connection.is_reusable:
                return connection
        return None

    async def _open(self, origin: Origin, timeout_s: float | None) -> Connection:
        scheme, host, port = origin
        tls = _tls() if scheme == "https" else None

        def forget(lost: Connection) -> None:
            self._idle.get(origin, {}).pop(lost, None)

        try:
            async with asyncio.timeout(timeout_s):
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(forget), host, port, ssl=tls
                )
        except TimeoutError:
            raise httpx2.ConnectTimeout("The server did not accept in time.") from None
        except OSError as error:
            raise httpx2.ConnectError(str(error)) from error
        return connection

    def give_back(self, origin: Origin, connection: Connection) -> None:
        """Keep a connection for the next request, or close one that can't be used again."""
        self._free.release()
        if connection.is_reusable:
            connection.expiry = asyncio.get_running_loop().call_later(KEPT_S, connection.abort)
            self._idle.setdefault(origin, {})[connection] = None
        else:
            connection.abort()

    async def aclose(self) -> None:
        """Close what is kept."""
        for idle in self._idle.values():
            for connection in list(idle):
                connection.abort()
        self._idle.clear()
        await asyncio.sleep(0)  # a transport closes in the loop's next round


class _Body(httpx2.AsyncByteStream):
    """The body of a response; closing it before its end closes the connection."""

    def __init__(self, pool: KeptConnections, origin: Origin, connection: Connection, read_s: float | None) -> None:
        self._pool = pool
        self._origin = origin
        self._connection: Connection | None = connection
        self._read_s = read_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (data := await self._connection.read(read_s=self._read_s)):
            yield data

    async def aclose(self) -> None:
        """Give the connection back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.give_back(self._origin, connection)


def _head(request: httpx2.Request) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b" % field for field in request.headers.raw]
    return b"\r\n".join([*lines, b"", b""])


def _origin(url: httpx2.URL) -> Origin:
    return url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


@cache
def _tls() -> ssl.SSLContext:
    context: Any = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    made: ssl.SSLContext = context
    return made
