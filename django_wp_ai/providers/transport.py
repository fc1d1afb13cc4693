"""How requests reach a vendor: over aiohttp's kept connections, with its parser in C; behind a proxy over httpx2's.

httpx2's way takes more than twice as long: it looks at each open connection twice a call, reads through layers of
cancel scopes and parses in Python. What goes wrong is raised as httpx2's errors either way.
"""

from __future__ import annotations

import asyncio
import io
import ssl
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, Protocol
from urllib.request import getproxies

import aiohttp
import httpx2
from aiohttp.connector import Connection
from yarl import URL

KEPT_S = 15.0  # how long a connection is kept that nobody uses: less than vendors do, or calls meet closed ones
BUFFERED_BYTES = 64 * 1024  # of a response that is read more slowly than it comes
HEAD_LINE_BYTES = 64 * 1024
#: What both libraries always read; those that they read with extra packages need not be the same.
ACCEPT_ENCODING = "gzip, deflate"

Fields = Sequence[tuple[str, str]]

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


class Answer(Protocol):
    """A vendor's answer whose head is there. Whoever has it reads it to its end or closes it."""

    @property
    def status_code(self) -> int:
        """Its HTTP status."""

    @property
    def headers(self) -> httpx2.Headers:
        """Its header fields."""

    async def aread(self) -> bytes:
        """The whole body."""

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes."""

    async def aclose(self) -> None:
        """Be done with it; before its end this closes the connection."""


class Connections(Protocol):
    """Connections of one event loop."""

    async def post(self, url: str, fields: Fields, content: bytes) -> Answer:
        """Send a request; raises httpx2's errors."""

    async def aclose(self) -> None:
        """Close what is kept, and what is still being read."""


def connections(*, timeout: httpx2.Timeout, max_connections: int) -> Connections:
    """At most ``max_connections`` at a time, aiohttp's or, where the environment names a proxy, httpx2's."""
    if {"http", "https", "all"} & set(getproxies()):
        return ProxiedConnections(timeout=timeout, max_connections=max_connections)
    return KeptConnections(timeout=timeout, max_connections=max_connections)


class ProxiedConnections:
    """Through the proxies that the environment names."""

    def __init__(self, *, timeout: httpx2.Timeout, max_connections: int) -> None:
        limits = httpx2.Limits(max_connections=max_connections, max_keepalive_connections=max_connections)
        self._client = httpx2.AsyncClient(timeout=timeout, limits=limits, follow_redirects=False)

    async def post(self, url: str, fields: Fields, content: bytes) -> Answer:
        """Send a request; its body is read by the caller."""
        request = self._client.build_request("POST", url, headers=list(fields), content=content)
        return await self._client.send(request, stream=True)

    async def aclose(self) -> None:
        """Close what is kept."""
        await self._client.aclose()


class KeptConnections:
    """Direct. Who comes when all are busy waits for the ``pool`` timeout."""

    def __init__(self, *, timeout: httpx2.Timeout, max_connections: int) -> None:
        self._free = asyncio.Semaphore(max_connections)
        self._pool_s = timeout.pool
        # aiohttp limits connecting and waiting; what takes longer than all together is sending.
        limits = [limit for limit in (timeout.connect, timeout.write, timeout.read) if limit is not None]
        self._answered_s = sum(limits) if len(limits) == 3 else None
        self._timeout = aiohttp.ClientTimeout(connect=timeout.connect, sock_read=timeout.read)
        self._session: aiohttp.ClientSession | None = None
        self._under_way: set[KeptAnswer] = set()

    async def post(self, url: str, fields: Fields, content: bytes) -> Answer:
        """Send a request; its body is read by the caller."""
        try:
            async with asyncio.timeout(self._pool_s if self._free.locked() else None):
                await self._free.acquire()
        except TimeoutError:
            raise httpx2.PoolTimeout("All connections are busy.") from None
        try:
            answer = KeptAnswer(await self._response(URL(url, encoded=True), fields, content), self._over)
        except BaseException:
            self._free.release()
            raise
        self._under_way.add(answer)
        return answer

    async def _response(self, url: URL, fields: Fields, content: bytes) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(self._answered_s):
                return await self._connected().request(
                    "POST",
                    url,
                    headers=fields,
                    data=io.BytesIO(content),
                    ssl=_tls() if url.scheme == "https" else True,
                    timeout=self._timeout,
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
                read_bufsize=BUFFERED_BYTES,
                max_line_size=HEAD_LINE_BYTES,
                max_field_size=HEAD_LINE_BYTES,
            )
            weakref.finalize(self, _forget, self._session, asyncio.get_running_loop())
        return self._session

    def _over(self, answer: KeptAnswer) -> None:
        self._under_way.discard(answer)
        self._free.release()

    async def aclose(self) -> None:
        """Close what is kept, and what is still being read."""
        session, self._session = self._session, None
        for answer in list(self._under_way):
            await answer.aclose()
        if session is not None:
            await session.close()


class KeptAnswer:
    """An answer over aiohttp."""

    __slots__ = ("_over", "_response")

    def __init__(self, response: aiohttp.ClientResponse, over: Callable[[KeptAnswer], None]) -> None:
        self._response = response
        self._over: Callable[[KeptAnswer], None] | None = over

    @property
    def status_code(self) -> int:
        """Its HTTP status."""
        return self._response.status

    @property
    def headers(self) -> httpx2.Headers:
        """Its header fields."""
        return httpx2.Headers(list(self._response.raw_headers))

    async def aread(self) -> bytes:
        """The whole body."""
        try:
            return await self._response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx2(error) from error
        finally:
            await self.aclose()

    async def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        try:
            async for data in self._response.content.iter_any():
                yield data
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _as_httpx2(error) from error

    async def aclose(self) -> None:
        """Give the connection back, or close it where the answer has not come to its end."""
        if self._over is not None:
            over, self._over = self._over, None
            self._response.close()
            over(self)


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *request: Any, **options: Any) -> Connection:
        """A connection on which nothing came unasked: it would be taken for the next call's answer."""
        while True:
            connection = await super().connect(*request, **options)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()


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
