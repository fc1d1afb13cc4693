"""How requests reach a vendor: aiohttp's kept connections, with its parser in C, as a transport for httpx2.

httpx2's own looks at each open connection twice a call, reads through layers of cancel scopes and parses in Python.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.request import getproxies

import aiohttp
import httpx2
from aiohttp.connector import Connection
from yarl import URL

KEPT_S = 15.0  # how long a connection is kept that nobody uses: less than vendors do, or calls meet closed ones
BUFFERED_BYTES = 64 * 1024  # of a response that is read more slowly than it comes
HEAD_LINE_BYTES = 64 * 1024
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})  # aiohttp's own: a body is sent whole

#: The first that fits. What was never sent is a connect error; any other one may have been billed.
_AS_HTTPX2: tuple[tuple[type[Exception], type[httpx2.TransportError]], ...] = (
    (aiohttp.ConnectionTimeoutError, httpx2.ConnectTimeout),
    (aiohttp.ClientConnectorError, httpx2.ConnectError),
    (aiohttp.InvalidURL, httpx2.ConnectError),
    (aiohttp.NonHttpUrlClientError, httpx2.ConnectError),
    (aiohttp.ServerTimeoutError, httpx2.ReadTimeout),
    (aiohttp.ServerDisconnectedError, httpx2.RemoteProtocolError),
    (aiohttp.ClientConnectionError, httpx2.ReadError),
    (aiohttp.ClientError, httpx2.RemoteProtocolError),  # broken payloads, and what is no HTTP
    (TimeoutError, httpx2.WriteTimeout),
)


def transport(*, max_connections: int) -> httpx2.AsyncBaseTransport | None:
    """The transport for a client, for one event loop; None, so that httpx2 takes its own, where there is a proxy."""
    if {"http", "https", "all"} & set(getproxies()):
        return None
    return KeptConnections(max_connections=max_connections)


class KeptConnections(httpx2.AsyncBaseTransport):
    """At most ``max_connections`` requests at a time; who comes later waits for the ``pool`` timeout."""

    def __init__(self, *, max_connections: int) -> None:
        self._free = asyncio.Semaphore(max_connections)
        self._session: aiohttp.ClientSession | None = None
        self._bodies: set[_Body] = set()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request; the response's head is there, its body is read by the caller."""
        await request.aread()
        timeouts: dict[str, float | None] = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(timeouts.get("pool")):
                await self._free.acquire()
        except TimeoutError:
            raise httpx2.PoolTimeout("All connections are busy.") from None
        try:
            response = await self._send(request, timeouts)
        except BaseException:
            self._free.release()
            raise
        body = _Body(response, self._over)
        self._bodies.add(body)
        extensions = {"http_version": b"HTTP/1.1", "reason_phrase": (response.reason or "").encode("ascii", "ignore")}
        return httpx2.Response(response.status, headers=list(response.raw_headers), stream=body, extensions=extensions)

    async def _send(self, request: httpx2.Request, timeouts: dict[str, float | None]) -> aiohttp.ClientResponse:
        """aiohttp limits connecting and waiting; what takes longer than all together is sending."""
        connect_s, write_s, read_s = (timeouts.get(name) for name in ("connect", "write", "read"))
        limits = [limit for limit in (connect_s, write_s, read_s) if limit is not None]
        url = request.url
        try:
            async with asyncio.timeout(sum(limits) if len(limits) == 3 else None):
                return await self._connected().request(
                    request.method,
                    URL(f"{url.scheme}://{url.netloc.decode()}{url.raw_path.decode()}", encoded=True),
                    headers=[(n.decode(), v.decode()) for n, v in request.headers.raw if n.lower() not in _FRAMING],
                    data=io.BytesIO(request.content) if request.content else None,
                    ssl=_tls() if url.scheme == "https" else True,
                    timeout=aiohttp.ClientTimeout(connect=connect_s, sock_read=read_s),
                    allow_redirects=False,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx2(error) from error

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(limit=0, keepalive_timeout=KEPT_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                auto_decompress=False,
                read_bufsize=BUFFERED_BYTES,
                max_line_size=HEAD_LINE_BYTES,
                max_field_size=HEAD_LINE_BYTES,
            )
            weakref.finalize(self, _forget, self._session, asyncio.get_running_loop())
        return self._session

    def _over(self, body: _Body) -> None:
        self._bodies.discard(body)
        self._free.release()

    async def aclose(self) -> None:
        """Close what is kept, and what is still being read."""
        session, self._session = self._session, None
        for body in list(self._bodies):
            await body.aclose()
        if session is not None:
            await session.close()


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *request: Any, **options: Any) -> Connection:
        """A connection on which nothing came unasked: it would be taken for the next call's answer."""
        while True:
            connection = await super().connect(*request, **options)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


class _Body(httpx2.AsyncByteStream):
    """The body of a response; closing it before its end closes the connection."""

    def __init__(self, response: aiohttp.ClientResponse, over: Callable[[_Body], None]) -> None:
        self._response = response
        self._over = over
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._response.content.iter_any():
                yield data
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx2(error) from error

    async def aclose(self) -> None:
        """Give the connection back."""
        if not self._closed:
            self._closed = True
            self._response.close()
            self._over(self)


def _as_httpx2(error: Exception) -> httpx2.TransportError:
    kind = next(ours for theirs, ours in _AS_HTTPX2 if isinstance(error, theirs))
    return kind(str(error) or type(error).__name__)


@cache
def _tls() -> ssl.SSLContext:
    context: Any = httpx2.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    made: ssl.SSLContext = context
    return made


def _forget(session: aiohttp.ClientSession, loop: asyncio.AbstractEventLoop) -> None:
    """A loop that ended took its connections with it, so there is nothing for aiohttp to report about them."""
    if loop.is_closed():
        closing = session.close()
        with suppress(StopIteration):
            closing.send(None)  # as far as it gets without a loop: what is left is waiting for connections to end
        closing.close()
