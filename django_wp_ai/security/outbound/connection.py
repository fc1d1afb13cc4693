"""A session for one exchange, whose sockets go to the checked addresses and nowhere else."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from django_wp_ai.security.client_ip import Address

HEAD_LINE_BYTES = 8190  # of the status line, and of each header
HEAD_LINES = 128
BUFFERED_BYTES = 64 * 1024


class _Checked(AbstractResolver):
    """Answers with what was resolved before; aiohttp asks it for names only."""

    def __init__(self, addresses: tuple[Address, ...]) -> None:
        self._addresses = addresses

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - aiohttp's signature
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is kept."""


def _sockets_to(addresses: tuple[Address, ...]) -> Callable[[Any], socket.socket]:
    checked = {str(address) for address in addresses}

    def make(info: Any) -> socket.socket:
        """The last gate: whatever way aiohttp came by an address, it must be one that was checked."""
        family, kind, protocol, _, target = info
        if target[0] not in checked:
            raise OSError("The address was not checked.")
        return socket.socket(family, kind, protocol)

    return make


def session_to(addresses: tuple[Address, ...]) -> aiohttp.ClientSession:
    """No proxy, no .netrc, no cookies, nothing kept after it; the caller bounds the time."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=_Checked(addresses),
            use_dns_cache=False,
            socket_factory=_sockets_to(addresses),
            force_close=True,
        ),
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
        read_bufsize=BUFFERED_BYTES,
        max_line_size=HEAD_LINE_BYTES,
        max_field_size=HEAD_LINE_BYTES,
        max_headers=HEAD_LINES,
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
    )


def tls() -> ssl.SSLContext:
    """Certificates are checked against the system's authorities, or those that ``SSL_CERT_FILE`` names."""
    return _context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=8)
def _context(*_authorities: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()  # reads the two variables itself; they are arguments to be told apart
    context.set_alpn_protocols(["http/1.1"])
    return context
