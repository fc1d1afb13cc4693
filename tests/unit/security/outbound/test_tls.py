"""The certificate is checked for the name in the URL, though the connection goes to an address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from django_wp_ai.security.outbound import OutboundError, send
from tests.unit.security.outbound.certificates import Authority
from tests.unit.security.outbound.names import Names
from tests.unit.security.outbound.servers import Listener, listening, redirecting, replying


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.certificate_file))
    return authority


@pytest.fixture(autouse=True)
def site(names: Names, allow_networks: Callable[..., None]) -> None:
    allow_networks("127.0.0.0/8")
    names.set("site.test", ["127.0.0.1"])
    names.set("xn--bcher-kva.test", ["127.0.0.1"])


@pytest.mark.parametrize("spelling", ["site.test", "SITE.test.", "bücher.test"])
async def test_the_server_is_told_the_name_and_proves_it(trusted: Authority, spelling: str) -> None:
    name = "xn--bcher-kva.test" if spelling == "bücher.test" else "site.test"
    context, told = trusted.server(name), []
    context.sni_callback = lambda _, server_name, __: told.append(server_name)
    async with listening(tls=context) as listener:
        reply = await send("GET", listener.url(host=spelling), max_bytes=10, timeout_s=60)
    assert reply.body == b"ok"
    assert told == [name]
    assert listener.headers["host"] == f"{name}:{listener.port}"


@pytest.mark.parametrize(
    "certificate",
    [
        lambda authority: authority.server("other.test"),
        lambda authority: authority.server("site.test", self_signed=True),
        lambda authority: authority.server("site.test", expired=True),
    ],
    ids=["another name", "self-signed", "expired"],
)
async def test_a_certificate_that_proves_nothing_ends_it_before_the_request(
    trusted: Authority, certificate: Callable[[Authority], ssl.SSLContext]
) -> None:
    async with listening(tls=certificate(trusted)) as listener:
        assert await code_of(listener) == "tls_failed"
        assert not listener.requests


async def test_an_authority_that_the_system_does_not_know_is_not_trusted(authority: Authority) -> None:
    async with listening(tls=authority.server("site.test")) as listener:
        assert await code_of(listener) == "tls_failed"
        assert not listener.requests


async def test_a_listed_private_host_has_to_prove_its_name_too(
    authority: Authority, allow_networks: Callable[..., None]
) -> None:
    allow_networks()
    async with listening(tls=authority.server("site.test")) as listener:
        assert await code_of(listener, allowed_hosts=["site.test"]) == "tls_failed"


async def test_a_server_without_tls_is_a_clean_failure() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Plain\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(OutboundError) as failed:
            await send("GET", f"https://site.test:{port}/", max_bytes=10, timeout_s=60)
    assert failed.value.code == "tls_failed"


async def test_a_redirect_leads_from_http_to_https_and_not_back(trusted: Authority) -> None:
    async with listening(tls=trusted.server("site.test")) as safe:
        to_safe = safe.url(host="site.test")
        async with listening(redirecting(to_safe)) as plain:
            reply = await send("GET", plain.url(), max_bytes=10, timeout_s=60, max_redirects=1)
            assert (reply.body, reply.url) == (b"ok", to_safe)
    async with listening() as plain:
        context = trusted.server("site.test")
        async with listening(redirecting(plain.url()), tls=context) as safe:
            assert await code_of(safe, max_redirects=3) == "url_refused"
            assert not plain.connections


async def test_a_reply_cut_off_within_tls_is_a_clean_failure(trusted: Authority) -> None:
    async with listening(
        replying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), tls=trusted.server("site.test")
    ) as listener:
        assert await code_of(listener) == "connection_lost"


async def code_of(listener: Listener, *, allowed_hosts: list[str] | None = None, max_redirects: int = 0) -> str:
    with pytest.raises(OutboundError) as failed:
        await send(
            "GET",
            listener.url(host="site.test"),
            allowed_hosts=allowed_hosts or [],
            max_bytes=10,
            timeout_s=60,
            max_redirects=max_redirects,
        )
    return failed.value.code
