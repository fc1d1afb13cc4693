"""The transport under vendors' SDKs, against servers that speak HTTP well and badly."""

from __future__ import annotations

import asyncio
import gc
import gzip
import ssl
import warnings
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from django_wp_ai.providers import transport
from django_wp_ai.providers.transport import Answer, Connections, KeptConnections, ProxiedConnections

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
TIMEOUT = httpx2.Timeout(60.0)  # a busy machine is no silent server

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Scripted:
    """A server that reads requests and answers each with the next bytes of its script."""

    def __init__(self, *answers: bytes, then_close: bool = False) -> None:
        self.connections = 0
        self.requests: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.asked = asyncio.Event()  # a request has come in
        self.ended = asyncio.Event()  # a connection has ended
        self._answers = list(answers)
        self._then_close = then_close

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.writers.append(writer)
        while self._answers:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            length = next(
                (int(line[16:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")), 0
            )
            self.requests.append(head + await reader.readexactly(length))
            self.asked.set()
            writer.write(self._answers.pop(0))
            await writer.drain()
            if self._then_close:
                break
        writer.close()
        self.ended.set()


@asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    ended: list[asyncio.Task[Any] | None] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ended.append(asyncio.current_task())
        with suppress(OSError, asyncio.IncompleteReadError):
            await handler(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    scheme = "https" if options.get("ssl") else "http"
    try:
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat?x=1"
    finally:
        server.close()
        await asyncio.gather(*(task for task in ended if task is not None))


class Through(httpx2.AsyncBaseTransport):
    """Every request is a POST over these connections."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        fields = [(name, value) for name, value in request.headers.items() if name != "content-length"]
        answer = await self._connections.post(str(request.url), fields, await request.aread())
        return httpx2.Response(answer.status_code, headers=answer.headers, stream=Body(answer))

    async def aclose(self) -> None:
        await self._connections.aclose()


class Body(httpx2.AsyncByteStream):
    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for data in self._answer.aiter_bytes():
            yield data

    async def aclose(self) -> None:
        await self._answer.aclose()


@asynccontextmanager
async def client(*, max_connections: int = 5, limits: httpx2.Timeout = TIMEOUT) -> AsyncIterator[httpx2.AsyncClient]:
    kept = KeptConnections(timeout=limits, max_connections=max_connections)
    async with httpx2.AsyncClient(transport=Through(kept)) as http:
        yield http


async def test_requests_one_after_the_other_share_a_connection() -> None:
    server = Scripted(OK, OK, OK)
    async with serving(server) as url, client() as http:
        for number in range(3):
            response = await http.post(url, json={"n": number})
            assert (response.status_code, response.text) == (200, "ok")
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /v1/chat?x=1 HTTP/1.1\r\n")
    assert server.requests[2].endswith(b'\r\n\r\n{"n":2}')


async def test_a_body_in_chunks_and_pieces_is_put_together() -> None:
    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for byte in b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async with serving(slowly) as url, client() as http:
        assert (await http.get(url)).text == "abcde"


async def test_a_head_that_only_informs_is_passed_over() -> None:
    server = Scripted(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK)
    async with serving(server) as url, client() as http:
        response = await http.get(url)
    assert (response.status_code, response.text) == (200, "ok")
    assert "link" not in response.headers


async def test_a_body_without_a_length_ends_with_the_connection() -> None:
    server = Scripted(b"HTTP/1.1 200 OK\r\n\r\nall of it", OK, then_close=True)
    async with serving(server) as url, client() as http:
        assert (await http.get(url)).text == "all of it"
        assert (await http.get(url)).text == "ok"
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
        b"HTTP/1.1 100 Continue\r\n\r\n",
    ],
)
async def test_an_answer_that_breaks_off_is_an_error(answer: bytes) -> None:
    async with serving(Scripted(answer, then_close=True)) as url, client() as http:
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            await http.get(url)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n"])
async def test_what_is_no_http_is_an_error(answer: bytes) -> None:
    async with serving(Scripted(answer, OK)) as url, client() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(url)


async def test_a_connection_that_the_server_wants_closed_is_not_used_again() -> None:
    server = Scripted(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", OK)
    async with serving(server) as url, client() as http:
        await http.get(url)
        await http.get(url)
    assert server.connections == 2


@pytest.mark.parametrize("how", ["closes", "speaks"])
async def test_a_kept_connection_on_which_something_happened_is_not_used_again(how: str) -> None:
    server = Scripted(OK, OK, OK)
    async with serving(server) as url, client() as http:
        await http.get(url)
        if how == "closes":
            server.writers[0].close()
        else:
            server.writers[0].write(OK)
        await asyncio.sleep(0.05)
        assert (await http.get(url)).text == "ok"
    assert server.connections == 2


async def test_a_connection_that_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "KEPT_S", 0.01)
    server = Scripted(OK, OK)
    async with serving(server) as url, client() as http:
        await http.get(url)
        await server.ended.wait()
        await asyncio.sleep(0)
        assert (await http.get(url)).text == "ok"
    assert server.connections == 2


async def test_a_response_that_is_left_half_read_closes_its_connection() -> None:
    server = Scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", OK)
    async with serving(server) as url, client(max_connections=1) as http:
        async with http.stream("GET", url):
            pass
        assert (await http.get(url)).text == "ok"
    assert server.connections == 2


async def test_a_call_that_is_cancelled_frees_its_place() -> None:
    server = Scripted(b"", OK)
    async with serving(server) as url, client(max_connections=1) as http:
        waiting = asyncio.ensure_future(http.get(url))
        await server.asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert (await http.get(url)).text == "ok"


async def test_a_silent_server_is_a_read_timeout() -> None:
    async with serving(Scripted(b"", OK)) as url, client(limits=httpx2.Timeout(60, read=0.05)) as http:
        with pytest.raises(httpx2.ReadTimeout):
            await http.get(url)


async def test_a_server_that_does_not_take_the_request_is_a_write_timeout() -> None:
    release = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    limits = httpx2.Timeout(60, connect=1, read=0.05, write=0.1)  # all together, before it is taken for a slow write
    async with serving(deaf, limit=1) as url, client(limits=limits) as http:
        with pytest.raises(httpx2.WriteTimeout):
            await http.post(url, content=b"x" * 50_000_000)
        release.set()


async def test_a_request_that_is_taken_slowly_is_answered() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.05)
        await reader.readexactly(20_000_000)
        writer.write(OK)
        writer.close()

    async with serving(slow, limit=1024) as url, client() as http:
        assert (await http.post(url, content=b"x" * 20_000_000)).text == "ok"


async def test_a_server_waits_while_nobody_reads_its_answer() -> None:
    size = 30_000_000
    written = asyncio.Event()

    async def generous(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)
        await writer.drain()
        written.set()
        writer.close()

    async with serving(generous) as url, client() as http, http.stream("GET", url) as response:
        await asyncio.sleep(0.1)
        assert not written.is_set()
        assert len(await response.aread()) == size


async def test_no_header_is_added_to_those_of_the_request() -> None:
    server = Scripted(OK)
    async with serving(server) as url:
        kept = KeptConnections(timeout=TIMEOUT, max_connections=1)
        assert await (await kept.post(url, [("X-Key", "k")], b"{}")).aread() == b"ok"
        await kept.aclose()
    head = server.requests[0].partition(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert names == {b"host", b"x-key", b"content-length"}


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
async def test_a_compressed_answer_is_read(encoding: str, compress: Callable[[bytes], bytes]) -> None:
    body = compress(b"said at some length, " * 100)
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(body)}\r\n\r\n"
    async with serving(Scripted(head.encode() + body)) as url:
        kept = KeptConnections(timeout=TIMEOUT, max_connections=1)
        assert await (await kept.post(url, (), b"{}")).aread() == b"said at some length, " * 100
        await kept.aclose()


async def test_a_redirect_is_handed_over_unfollowed() -> None:
    server = Scripted(b"HTTP/1.1 302 Found\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n", OK)
    async with serving(server) as url, client() as http:
        assert (await http.post(url)).headers["location"] == "/other"
    assert len(server.requests) == 1


async def test_a_post_whose_connection_breaks_is_not_sent_again() -> None:
    server = Scripted(b"", OK, then_close=True)
    async with serving(server) as url, client() as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.post(url)
    assert len(server.requests) == 1


async def test_closing_ends_what_is_still_being_read() -> None:
    server = Scripted(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", OK)
    pool = KeptConnections(timeout=TIMEOUT, max_connections=1)
    http = httpx2.AsyncClient(transport=Through(pool))
    async with serving(server) as url, http, http.stream("GET", url) as response:
        reading = asyncio.ensure_future(response.aread())
        await asyncio.sleep(0.05)
        await pool.aclose()
        with pytest.raises(httpx2.ReadError):
            await reading


@pytest.mark.parametrize("kept", [True, False])
def test_aiohttp_does_not_report_a_loop_that_ended_without_closing(
    caplog: pytest.LogCaptureFixture, kept: bool
) -> None:
    async def ask_once() -> httpx2.AsyncClient:
        http = httpx2.AsyncClient(transport=Through(KeptConnections(timeout=TIMEOUT, max_connections=1)))
        async with serving(Scripted(OK, then_close=not kept)) as url:
            assert (await http.get(url)).text == "ok"
        return http

    left_open = asyncio.run(ask_once())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        del left_open
        gc.collect()
    reported = [str(warning.message) for warning in said if "transport" not in str(warning.message)]
    assert (reported, caplog.messages) == ([], [])


async def test_a_server_that_is_not_there_is_a_connect_error() -> None:
    async with client() as http:
        with pytest.raises(httpx2.ConnectError):
            await http.get("http://127.0.0.1:1/")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A fresh self-signed certificate for 127.0.0.1 with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vendor")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "vendor.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.mark.parametrize("trusted", [True, False])
async def test_only_a_server_with_a_trusted_certificate_is_asked(
    certificate: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    transport._tls.cache_clear()
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    server = Scripted(OK)
    async with serving(server, ssl=context) as url, client() as http:
        if trusted:
            assert (await http.get(url)).text == "ok"
        else:
            with pytest.raises(httpx2.ConnectError):
                await http.get(url)
    transport._tls.cache_clear()
    assert len(server.requests) == trusted


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "http_proxy", "ALL_PROXY"])
async def test_behind_a_proxy_httpx2s_own_connections_are_taken(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert isinstance(transport.connections(timeout=TIMEOUT, max_connections=1), KeptConnections)
    monkeypatch.setenv(variable, "http://127.0.0.1:3128")
    assert isinstance(transport.connections(timeout=TIMEOUT, max_connections=1), ProxiedConnections)


async def test_a_request_goes_by_way_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = Scripted(OK)
    async with serving(proxy) as url:
        monkeypatch.setenv("http_proxy", url.partition("/v1")[0])
        monkeypatch.setenv("no_proxy", "")
        proxied = transport.connections(timeout=TIMEOUT, max_connections=1)
        answer = await proxied.post("http://vendor.example/v1/chat", [("X-Key", "k")], b"{}")
        assert (answer.status_code, await answer.aread()) == (200, b"ok")
        await proxied.aclose()
    assert proxy.requests[0].startswith(b"POST http://vendor.example/v1/chat HTTP/1.1\r\n")
    assert b"\r\nx-key: k\r\n" in proxy.requests[0].lower()
