"""However a reply goes on and whatever it unpacks to: bytes, time and memory have an end."""

from __future__ import annotations

import asyncio
import errno
import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from django_wp_ai.security.outbound import OutboundError, download, send
from tests.unit.security.outbound.servers import Answer, listening, replying

MB = 1_000_000
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def loopback(allow_networks: Callable[..., None]) -> None:
    allow_networks("127.0.0.0/8")


class Flood:
    """Repeats a piece until the client is gone, or so many bytes are sent."""

    def __init__(self, head: bytes, piece: bytes, *, end: int | None = None) -> None:
        self._head, self._piece, self._end = head, piece, end
        self.sent = 0

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head)
        while self._end is None or self.sent < self._end:
            writer.write(self._piece)
            await writer.drain()
            await asyncio.sleep(0)
            self.sent += len(self._piece)


def coded(coding: str, body: bytes) -> bytes:
    head = f"Content-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return HEAD + head.encode() + body


def raw_deflate(body: bytes) -> bytes:
    return zlib.compress(body, wbits=-zlib.MAX_WBITS)


@pytest.fixture
def bomb() -> bytes:
    """50 MB in 50 kB."""
    return gzip.compress(bytes(50 * MB))


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.parametrize("length", [b"", b"Content-Length: 50000000\r\n"], ids=["unsaid", "announced"])
async def test_a_reply_of_50_mb_is_left_when_it_is_too_much(length: bytes) -> None:
    flood = Flood(HEAD + length + b"\r\n", bytes(MB), end=50 * MB)
    async with listening(flood) as listener:
        assert await code_of(listener.url(), max_bytes=MB) == "too_large"
    assert flood.sent < 50 * MB


async def test_of_a_reply_of_50_mb_the_beginning_is_enough() -> None:
    flood = Flood(HEAD + b"Content-Length: 50000000\r\n\r\n", b"beginning " * 100_000, end=50 * MB)
    async with listening(flood) as listener:
        reply = await send("POST", listener.url(), max_bytes=15, timeout_s=60, excerpt=True)
    assert (reply.status, reply.body, reply.is_cut, reply.size_bytes) == (200, b"beginning begin", True, 15)
    assert flood.sent < 50 * MB


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, MB])
async def test_a_reply_of_just_the_allowed_size_is_whole(size: int) -> None:
    body = b"x" * size
    async with listening(replying(HEAD + b"\r\n" + body)) as listener:
        reply = await send("GET", listener.url(), max_bytes=size, timeout_s=60)
        assert (reply.body, reply.is_cut) == (body, False)
        assert not (await send("GET", listener.url(), max_bytes=size, timeout_s=60, excerpt=True)).is_cut
        if size:
            assert await code_of(listener.url(), max_bytes=size - 1) == "too_large"


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("GZIP", gzip.compress),
        ("x-gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
)
async def test_a_reply_that_is_coded_unasked_is_read(coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = b"".join(number.to_bytes(4) for number in range(100_000))
    async with listening(replying(coded(coding, pack(body)))) as listener:
        assert (await send("GET", listener.url(), max_bytes=MB, timeout_s=60)).body == body
        assert await code_of(listener.url(), max_bytes=len(body) - 1) == "too_large"


async def test_a_bomb_is_left_with_little_of_it_unpacked(bomb: bytes, traced: None) -> None:
    async with listening(replying(coded("gzip", bomb))) as listener:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert await code_of(listener.url(), max_bytes=MB) == "too_large"
        _, peak = tracemalloc.get_traced_memory()
    assert peak - before < 5 * MB


async def test_of_a_bomb_the_beginning_is_enough(bomb: bytes) -> None:
    async with listening(replying(coded("gzip", bomb))) as listener:
        reply = await send("POST", listener.url(), max_bytes=100, timeout_s=60, excerpt=True)
    assert (reply.body, reply.is_cut) == (bytes(100), True)


@pytest.mark.parametrize("coding", ["br", "zstd", "compress", "gzip, gzip", "gzip;q=1", "nonsense"])
async def test_an_unknown_coding_is_refused_and_is_no_excerpt(coding: str) -> None:
    async with listening(replying(coded(coding, b"whatever"))) as listener:
        assert await code_of(listener.url()) == "reply_invalid"
        reply = await send("POST", listener.url(), max_bytes=100, timeout_s=60, excerpt=True)
        assert (reply.status, reply.body, reply.is_cut) == (200, b"", True)


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"x" * 90)[:-9], gzip.compress(b"a") + b"rest", gzip.compress(b"a") * 2],
    ids=["other", "ends early", "goes on", "twice"],
)
async def test_a_broken_coding_is_refused(body: bytes) -> None:
    async with listening(replying(coded("gzip", body))) as listener:
        assert await code_of(listener.url()) == "reply_invalid"


async def test_a_coded_reply_that_holds_nothing_does_not_go_on_for_ever() -> None:
    packer = zlib.compressobj(wbits=31)
    begin = packer.flush(zlib.Z_SYNC_FLUSH)
    nothing = packer.flush(zlib.Z_FULL_FLUSH)  # an empty block, which may be repeated
    flood = Flood(HEAD + b"Content-Encoding: gzip\r\n\r\n" + begin, nothing * 1000)
    async with listening(flood) as listener:
        assert await code_of(listener.url()) == "too_large"


@pytest.mark.parametrize(
    "flood",
    [
        Flood(HEAD, b"X-More: and more\r\n"),
        Flood(HEAD + b"X-Long: ", b"x" * 1000),
        Flood(HEAD, b"x" * 1000),
        Flood(b"HTTP/1.1 200 ", b"x" * 1000),
        Flood(b"", b"\x00" * 1000),
    ],
    ids=["many headers", "a long header", "a long name", "a long reason", "no head"],
)
async def test_a_head_without_an_end_is_refused(flood: Answer) -> None:
    async with listening(flood) as listener:
        assert await code_of(listener.url()) == "reply_invalid"


@pytest.mark.parametrize(
    "flood",
    [
        Flood(b"", b""),
        Flood(HEAD + b"X-Slow: ", b""),
        Flood(HEAD + b"Content-Length: 100\r\n\r\nbegin", b""),
        Flood(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", b""),
        Flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["no reply", "a head that stops", "a body that stops", "chunks that stop", "always continuing"],
)
async def test_a_reply_that_never_ends_is_left_in_time(flood: Answer) -> None:
    async with listening(flood) as listener:
        assert await code_of(listener.url(), timeout_s=0.2) == "timeout"


@pytest.mark.parametrize("head", [HEAD + b"X-Slow: ", HEAD + b"Content-Length: 100000\r\n\r\n"], ids=["head", "body"])
async def test_bytes_that_trickle_gain_no_time(head: bytes) -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with listening(trickle) as listener:
        assert await code_of(listener.url(), max_bytes=MB, timeout_s=0.3) == "timeout"
        with pytest.raises(OutboundError) as failed:
            await send("POST", listener.url(), max_bytes=MB, timeout_s=0.3, excerpt=True)
        assert failed.value.code == "timeout"


async def test_a_download_goes_into_the_file(bomb: bytes, traced: None) -> None:
    async with listening(replying(coded("gzip", bomb))) as listener:
        before, _ = tracemalloc.get_traced_memory()
        with _Counting() as file:
            reply = await download(listener.url(), to=file, max_bytes=50 * MB, timeout_s=60)
        _, peak = tracemalloc.get_traced_memory()
    assert file.count == reply.size_bytes == 50 * MB
    assert reply.body == b""
    assert reply.sha256 == "ab46920a3bcd0891d34367719808bc3f832e4968ddfbfb464d093e306d2275ad"
    assert peak - before < 5 * MB


async def test_a_download_follows_redirects_to_its_end() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        moved = b"HTTP/1.1 302 Moved\r\nLocation: /file\r\nContent-Length: 4\r\n\r\nmove"
        writer.write(moved if len(listener.requests) == 1 else HEAD + b"\r\nfile")

    async with listening(answer) as listener:
        file = io.BytesIO()
        reply = await download(listener.url(), to=file, max_bytes=100, timeout_s=60)
    assert file.getvalue() == b"file"
    assert reply.url == listener.url("/file")


async def test_a_download_that_is_too_large_stops_at_the_limit() -> None:
    async with listening(replying(HEAD + b"\r\n" + bytes(MB))) as listener:
        file = io.BytesIO()
        with pytest.raises(OutboundError) as failed:
            await download(listener.url(), to=file, max_bytes=1000, timeout_s=60)
    assert failed.value.code == "too_large"
    assert len(file.getvalue()) <= 1000


@pytest.mark.parametrize("status", [300, 404, 500])
async def test_only_the_file_itself_is_written(status: int) -> None:
    page = f"HTTP/1.1 {status} No\r\nContent-Length: 5\r\n\r\nsorry"
    async with listening(replying(page.encode())) as listener:
        file = io.BytesIO()
        reply = await download(listener.url(), to=file, max_bytes=100, timeout_s=60)
    assert (reply.status, reply.size_bytes, file.getvalue()) == (status, 0, b"")


async def test_a_full_disk_is_not_taken_for_a_lost_connection() -> None:
    class Full(_Counting):
        def write(self, data: bytes) -> int:  # type: ignore[override]
            raise OSError(errno.ENOSPC, "No space left on device")

    async with listening() as listener:
        with Full() as file, pytest.raises(OSError, match="No space left"):
            await download(listener.url(), to=file, max_bytes=100, timeout_s=60)


class _Counting(io.RawIOBase):
    """A file that keeps nothing."""

    count = 0

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.count += len(data)
        return len(data)


async def code_of(url: str, *, max_bytes: int = 100, timeout_s: float = 60) -> str:
    with pytest.raises(OutboundError) as failed:
        await send("GET", url, max_bytes=max_bytes, timeout_s=timeout_s)
    return failed.value.code
