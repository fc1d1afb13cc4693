"""A name is looked up once, every address of it is checked, and the connection goes to what was checked."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Callable

import pytest

from django_wp_ai.security.outbound import OutboundError, send
from django_wp_ai.security.outbound.connection import _sockets_to
from tests.unit.security.outbound.names import Names
from tests.unit.security.outbound.servers import listening

REFUSED = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.19.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::10.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
OPENED_BY_NAME = {"10.0.0.1", "100.64.0.1", "127.0.0.1", "172.31.255.255", "192.168.0.1", "::1", "fc00::1"}


@pytest.mark.parametrize("address", REFUSED)
async def test_a_name_that_leads_to_no_public_address_is_refused(names: Names, address: str) -> None:
    names.set("site.test", [address])
    assert await code_of("http://site.test/") == "url_refused"


@pytest.mark.parametrize("address", sorted(set(REFUSED) - OPENED_BY_NAME))
async def test_a_listed_name_opens_no_metadata_service_and_no_tunnel(names: Names, address: str) -> None:
    names.set("site.test", [address])
    assert await code_of("http://site.test/", allowed_hosts=["site.test"]) == "url_refused"


@pytest.mark.parametrize("answer", [["8.8.8.8", "127.0.0.1"], ["127.0.0.1", "8.8.8.8"], ["2606:4700::1111", "::1"]])
async def test_a_name_that_is_partly_private_is_refused_whole(names: Names, answer: list[str]) -> None:
    names.set("site.test", answer)
    assert await code_of("http://site.test/") == "url_refused"


async def test_a_name_that_turns_private_after_the_check_is_reached_where_it_was_checked(
    names: Names, network_attempts: list[str]
) -> None:
    async with listening() as inside:
        names.set("rebind.test", ["93.184.215.14"], ["127.0.0.1"])
        with pytest.raises(RuntimeError, match=r"not 93\.184\.215\.14"):  # the suite stops it on the way out
            await send("POST", inside.url(host="rebind.test"), body=b"secret", max_bytes=100, timeout_s=60)
        assert network_attempts == [f"93.184.215.14:{inside.port}"]
        network_attempts.clear()
        assert names.asked == ["rebind.test"]
        assert not inside.connections


async def test_a_second_answer_of_the_name_server_is_not_asked_for(
    names: Names, allow_networks: Callable[..., None]
) -> None:
    allow_networks("127.0.0.1/32")
    async with listening() as checked:
        names.set("site.test", ["127.0.0.1"], ["127.0.0.2"])
        reply = await send("GET", checked.url(host="site.test"), max_bytes=100, timeout_s=60)
        assert reply.body == b"ok"
        assert names.asked == ["site.test"]
        assert checked.headers["host"] == f"site.test:{checked.port}"
        assert await code_of(checked.url(host="site.test")) == "url_refused"
        assert checked.connections == 1


async def test_an_address_in_a_url_is_not_looked_up(names: Names, allow_networks: Callable[..., None]) -> None:
    allow_networks("127.0.0.0/8")
    async with listening() as listener:
        names.set("127.0.0.1", ["127.0.0.2"])
        await send("GET", listener.url(), max_bytes=100, timeout_s=60)
        assert listener.connections == 1
        assert not names.asked


async def test_the_next_address_is_tried_when_one_does_not_answer(
    names: Names, allow_networks: Callable[..., None]
) -> None:
    allow_networks("127.0.0.0/8")
    async with listening(host="127.0.0.3") as listener:
        names.set("site.test", ["127.0.0.2", "127.0.0.3"])
        assert (await send("GET", listener.url(host="site.test"), max_bytes=100, timeout_s=60)).status == 200


async def test_a_name_that_nobody_knows_fails(names: Names) -> None:
    names.set("gone.test", [])
    assert await code_of("http://gone.test/") == "dns_failed"


def test_no_socket_is_made_for_an_address_that_was_not_checked() -> None:
    make = _sockets_to((ipaddress.ip_address("127.0.0.1"),))
    with make((2, 1, 6, "", ("127.0.0.1", 80))) as sock:
        assert sock.fileno() >= 0
    with pytest.raises(OSError, match="not checked"):
        make((2, 1, 6, "", ("127.0.0.2", 80)))


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["site.test"]])
async def test_a_listed_host_is_reached(names: Names, hosts: list[str]) -> None:
    async with listening() as listener:
        names.set("site.test", ["127.0.0.1"])
        url = listener.url(host=hosts[0])
        assert (await send("GET", url, allowed_hosts=hosts, max_bytes=100, timeout_s=60)).body == b"ok"
        assert await code_of(url) == "url_refused"
        assert listener.connections == 1


@pytest.mark.parametrize(
    ("cidr", "address", "code"),
    [
        ("64:ff9b::/96", "64:ff9b::a00:1", "url_refused"),  # 10.0.0.1 behind NAT64
        ("::/0", "::ffff:10.0.0.1", "url_refused"),
        ("::/0", "2002:a00:1::1", "url_refused"),
        ("169.254.0.0/16", "169.254.169.254", "url_refused"),
        ("100.64.0.0/10", "100.100.100.200", "url_refused"),
    ],
)
async def test_a_wide_network_opens_neither_what_is_carried_nor_metadata(
    names: Names, allow_networks: Callable[..., None], cidr: str, address: str, code: str
) -> None:
    allow_networks(cidr)
    names.set("site.test", [address])
    assert await code_of("http://site.test/") == code


@pytest.mark.parametrize(
    ("cidr", "address"), [("64:ff9b::/96", "64:ff9b::808:808"), ("169.254.169.254/32", "169.254.169.254")]
)
async def test_a_network_that_was_meant_is_opened(
    names: Names, allow_networks: Callable[..., None], network_attempts: list[str], cidr: str, address: str
) -> None:
    allow_networks(cidr)
    names.set("site.test", [address])
    with pytest.raises(RuntimeError, match="reach this machine only"):
        await send("GET", "http://site.test/", max_bytes=100, timeout_s=60)
    assert network_attempts == [f"{address}:80"]
    network_attempts.clear()


async def test_a_look_up_is_bounded_in_time(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hang(*_: object, **__: object) -> list[object]:
        loop.call_soon_threadsafe(begun.set)
        end.wait()
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    try:
        assert await code_of("http://slow.test/", timeout_s=0.1) == "timeout"
        await begun.wait()
    finally:
        end.set()


async def code_of(url: str, *, allowed_hosts: list[str] | None = None, timeout_s: float = 60) -> str:
    with pytest.raises(OutboundError) as failed:
        await send("GET", url, allowed_hosts=allowed_hosts or [], max_bytes=100, timeout_s=timeout_s)
    return failed.value.code
