"""What is sent, what comes back, and what is left over: nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from pathlib import Path

import pytest

from django_wp_ai.security.outbound import OutboundError, send
from tests.unit.security.outbound.servers import OK, listening, replying


@pytest.fixture(autouse=True)
def loopback(allow_networks: Callable[..., None]) -> None:
    allow_networks("127.0.0.0/8")


async def test_a_request_arrives_as_it_was_given() -> None:
    async with listening() as listener:
        headers = {"Webhook-Id": "1", "content-type": "application/json", "X-Text": "ü"}
        reply = await send("post", listener.url("/a b?c=ü#d"), headers=headers, body=b"{}", max_bytes=10, timeout_s=60)
        head = listener.requests[0].decode()
    assert head.startswith("POST /a%20b?c=%C3%BC HTTP/1.1\r\n")
    assert head.endswith("\r\n\r\n{}")
    assert listener.headers == {
        "host": f"127.0.0.1:{listener.port}",
        "accept": "*/*",
        "accept-encoding": "identity",
        "user-agent": "django-wp-ai",
        "webhook-id": "1",
        "content-type": "application/json",
        "x-text": "ü",
        "content-length": "2",
    } | {name: value for name, value in listener.headers.items() if name == "connection"}
    assert (reply.status, reply.body, reply.is_cut, reply.size_bytes) == (200, b"ok", False, 2)
    assert reply.headers["content-LENGTH"] == "2"
    assert reply.url == listener.url("/a%20b?c=%C3%BC")
    assert reply.elapsed_ms >= 0


async def test_the_callers_headers_take_the_place_of_ours() -> None:
    async with listening() as listener:
        headers = {"User-Agent": "other", "ACCEPT": "text/html"}
        await send("GET", listener.url(), headers=headers, max_bytes=10, timeout_s=60)
    assert (listener.headers["user-agent"], listener.headers["accept"]) == ("other", "text/html")


@pytest.mark.parametrize("status", [204, 302, 404, 410, 429, 500])
async def test_every_status_is_a_reply(status: int) -> None:
    reply_bytes = f"HTTP/1.1 {status} Said\r\nRetry-After: 7\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"
    async with listening(replying(reply_bytes.encode())) as listener:
        reply = await send("POST", listener.url(), max_bytes=10, timeout_s=60)
    assert (reply.status, reply.headers["retry-after"], reply.body) == (status, "7", b"")


async def test_a_head_request_has_no_body_whatever_length_is_said() -> None:
    async with listening(replying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n")) as listener:
        assert (await send("HEAD", listener.url(), max_bytes=10, timeout_s=60)).body == b""


async def test_headers_that_are_no_text_can_be_stored() -> None:
    async with listening(replying(b"HTTP/1.1 200 OK\r\nX-A: \xff\xfe\r\nContent-Length: 0\r\n\r\n")) as listener:
        reply = await send("GET", listener.url(), max_bytes=10, timeout_s=60)
    reply.headers["x-a"].encode()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET /", {}),
        ("G\r\nT", {}),
        ("", {}),
        ("CONNECT", {}),
        ("GET", {"x": "a\r\nb: c"}),
        ("GET", {"x": "a\x00"}),
        ("GET", {"x\r\n": "a"}),
        ("GET", {"x y": "a"}),
        ("GET", {"": "a"}),
        ("GET", {"Host": "10.0.0.1"}),
        ("GET", {"content-length": "5"}),
        ("GET", {"Transfer-Encoding": "chunked"}),
        ("GET", {"Proxy-Authorization": "Basic x"}),
        ("GET", {"x": "\ud800"}),
    ],
)
async def test_a_request_that_would_arrive_as_another_is_not_sent(method: str, headers: dict[str, str]) -> None:
    async with listening() as listener:
        with pytest.raises(OutboundError) as failed:
            await send(method, listener.url(), headers=headers, max_bytes=10, timeout_s=60)
        assert failed.value.code == "request_invalid"
        assert not listener.connections


async def test_no_proxy_no_netrc_and_no_cookie_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
    async with listening() as proxy, listening(replying(cookie)) as listener:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url())
            monkeypatch.setenv(name.upper(), proxy.url())
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        for _ in range(2):
            await send("GET", listener.url(), max_bytes=10, timeout_s=60)
        assert not proxy.connections
        assert listener.connections == 2
        assert not {"authorization", "cookie"} & set(listener.headers)


async def test_fifty_are_sent_at_once() -> None:
    everybody = asyncio.Barrier(50)

    async def together(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await everybody.wait()
        writer.write(OK)

    async with listening(together) as listener:
        calls = (send("POST", listener.url(), body=b"x", max_bytes=10, timeout_s=60) for _ in range(50))
        replies = await asyncio.gather(*calls)
    assert [reply.body for reply in replies] == [b"ok"] * 50


async def test_a_cancelled_call_leaves_no_connection() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!")
        asked.set()
        assert await reader.read() == b""
        gone.set()

    async with listening(never) as listener:
        call = asyncio.create_task(send("POST", listener.url(), body=b"x", max_bytes=10, timeout_s=60))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await gone.wait()


def test_a_loop_that_ends_after_a_call_leaves_nothing_open() -> None:
    async def once() -> int:
        async with listening() as listener:
            return (await send("GET", listener.url(), max_bytes=10, timeout_s=60)).status

    assert [asyncio.run(once()) for _ in range(3)] == [200] * 3
    gc.collect()  # what was left open warns here, and warnings are errors


def test_it_runs_on_uvloop() -> None:
    import uvloop

    async def once() -> bytes:
        async with listening() as listener:
            with pytest.raises(OutboundError):
                await send("GET", listener.url(host="127.1"), max_bytes=10, timeout_s=60)
            return (await send("GET", listener.url(host="localhost"), max_bytes=10, timeout_s=60)).body

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(once()) == b"ok"


async def test_nobody_listening_is_no_connection() -> None:
    async with listening() as listener:
        pass
    with pytest.raises(OutboundError) as failed:
        await send("GET", listener.url(), max_bytes=10, timeout_s=60)
    assert failed.value.code == "connect_failed"
    assert "127" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__


@pytest.mark.parametrize(
    ("reply", "code"),  # two where it depends on how much comes at once
    [
        (b"", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\n", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n", "connection_lost"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nsho", "connection_lost"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nshort\r\n0\r\n\r\n",
            "reply_invalid connection_lost",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "reply_invalid"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12", "reply_invalid"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nx", "reply_invalid"),
        (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "reply_invalid"),
        (b"\x00" * 100, "reply_invalid"),
    ],
)
async def test_a_broken_reply_is_a_clean_failure(reply: bytes, code: str) -> None:
    async with listening(replying(reply)) as listener:
        with pytest.raises(OutboundError) as failed:
            await send("POST", listener.url(), body=b"x", max_bytes=100, timeout_s=60)
    assert failed.value.code in code.split()


async def test_a_reply_may_come_before_the_request_was_read() -> None:
    async def early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await asyncio.Event().wait()

    async with listening(early, reads_body=False) as listener:
        reply = await send("POST", listener.url(), body=b"x" * 10_000_000, max_bytes=10, timeout_s=60)
    assert reply.status == 413
