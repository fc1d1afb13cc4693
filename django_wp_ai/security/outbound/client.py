"""Sends one request to a foreign URL: resolved once, connected to what was checked, bounded in bytes and time."""

from __future__ import annotations

import asyncio
import hashlib
import io
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import BinaryIO

from aiohttp import ClientResponse
from django.utils.datastructures import CaseInsensitiveMapping
from yarl import URL

from django_wp_ai.security.outbound.body import take
from django_wp_ai.security.outbound.connection import session_to, tls
from django_wp_ai.security.outbound.destination import AllowList, read
from django_wp_ai.security.outbound.errors import TRANSLATED, OutboundError, translated
from django_wp_ai.security.outbound.hops import Hop, first_hop, next_hop
from django_wp_ai.security.outbound.resolving import resolve

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundReply:
    """What came back; ``headers`` are found in any case, ``url`` is where the last redirect led."""

    status: int
    headers: Mapping[str, str]
    url: str
    elapsed_ms: int
    body: bytes = b""
    is_cut: bool = False
    size_bytes: int = 0  # of the decoded body, as far as it was read
    sha256: str = ""  # of a download, in hex


class _NotWritten(Exception):
    """The file's error, kept apart from those of the connection."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error


Read = Callable[[ClientResponse], Awaitable[bool]]


async def send(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes = b"",
    allowed_hosts: Sequence[str] = (),
    max_bytes: int,
    timeout_s: float,
    max_redirects: int = 0,
    excerpt: bool = False,
) -> OutboundReply:
    """One exchange; raises OutboundError only. Any status is a reply, a redirect too while ``max_redirects`` is 0.

    ``allowed_hosts`` may be private (a tenant's ``callback_hosts``). ``max_bytes`` is of the decoded body, and
    ``excerpt`` cuts a longer one there. ``timeout_s`` is for all of it, from the look-up to the last byte.
    """
    content = bytearray()

    async def keep(response: ClientResponse) -> bool:
        return await take(response, max_bytes=max_bytes, cut=excerpt, write=content.extend)

    allow = AllowList.of(allowed_hosts)
    first = first_hop(method, read(url, allow), headers, body)
    reply = await _exchange(first, allow, keep, timeout_s=timeout_s, max_redirects=max_redirects)
    return replace(reply, body=bytes(content), size_bytes=len(content))


async def download(
    url: str,
    *,
    to: BinaryIO,
    headers: Mapping[str, str] = NO_HEADERS,
    allowed_hosts: Sequence[str] = (),
    max_bytes: int,
    timeout_s: float,
    max_redirects: int = 3,
) -> OutboundReply:
    """GET into a file, 64 KiB at a time; a reply that is no 2xx is returned with its body unread.

    After an OutboundError the file holds a part; an OSError is the file's. Writes are made on the loop's thread: give
    it a local file.
    """
    digest, size = hashlib.sha256(), 0

    def write(piece: bytes) -> None:
        nonlocal size
        try:
            to.write(piece)
        except OSError as error:
            raise _NotWritten(error) from error
        digest.update(piece)
        size += len(piece)

    async def keep(response: ClientResponse) -> bool:
        return 200 <= response.status < 300 and await take(response, max_bytes=max_bytes, cut=False, write=write)

    allow = AllowList.of(allowed_hosts)
    first = first_hop("GET", read(url, allow), headers, b"")
    try:
        reply = await _exchange(first, allow, keep, timeout_s=timeout_s, max_redirects=max_redirects)
    except _NotWritten as failed:
        raise failed.error from None
    return replace(reply, size_bytes=size, sha256=digest.hexdigest())


async def _exchange(hop: Hop, allow: AllowList, keep: Read, *, timeout_s: float, max_redirects: int) -> OutboundReply:
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout_s):
            reply = await _followed(hop, allow, keep, max_redirects)
    except TRANSLATED as error:
        raise translated(error) from None  # aiohttp's own text names addresses
    return replace(reply, elapsed_ms=round((time.monotonic() - started) * 1000))


async def _followed(hop: Hop, allow: AllowList, keep: Read, max_redirects: int) -> OutboundReply:
    for _ in range(max_redirects + 1):
        found = await _once(hop, allow, keep, follows=max_redirects > 0)
        if isinstance(found, OutboundReply):
            return found
        hop = found
    raise OutboundError("too_many_redirects")


async def _once(hop: Hop, allow: AllowList, keep: Read, *, follows: bool) -> OutboundReply | Hop:
    """Send one request; its reply, or the next request if it is a redirect that is followed."""
    destination = hop.destination
    async with session_to(await resolve(destination, allow)) as session:
        response = await session.request(
            hop.method,
            URL(destination.url, encoded=True),
            headers=hop.headers,
            data=io.BytesIO(hop.body) if hop.body else None,
            ssl=tls() if destination.scheme == "https" else True,
            allow_redirects=False,
        )
        try:
            if response.status < 200:  # another protocol begins, which nobody asked for
                raise OutboundError("reply_invalid")
            following = next_hop(hop, response, allow) if follows else None
            if following is not None:
                return following
            is_cut = await keep(response)
            return OutboundReply(
                status=response.status,
                headers=_readable(response),
                url=destination.url,
                elapsed_ms=0,
                is_cut=is_cut,
            )
        finally:
            response.close()


def _readable(response: ClientResponse) -> Mapping[str, str]:
    """Headers as text that can be stored: bytes that are no UTF-8 are replaced."""
    fields = ((n.decode("ascii", "replace"), v.decode("utf-8", "replace")) for n, v in response.raw_headers)
    return CaseInsensitiveMapping(list(fields))
