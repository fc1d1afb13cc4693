"""From a name to addresses that were checked: one look-up, on threads that nobody else waits for."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django_wp_ai.security.client_ip import Address
from django_wp_ai.security.outbound.addresses import may_reach
from django_wp_ai.security.outbound.destination import AllowList, Destination
from django_wp_ai.security.outbound.errors import OutboundError

THREADS = 64  # look-ups at the same time: a foreign name server that answers slowly holds up foreign names only


async def resolve(destination: Destination, allow: AllowList) -> tuple[Address, ...]:
    """The addresses to connect to; a name of which only one is refused is refused, as no honest name is both."""
    found = await _look_up(destination.host) if destination.address is None else (destination.address,)
    listed = destination.host in allow.names
    if not all(may_reach(address, host_is_listed=listed, listed=allow.addresses) for address in found):
        raise OutboundError("url_refused", "The host is not public.")
    return found


async def _look_up(name: str) -> tuple[Address, ...]:
    def ask() -> list[str]:
        return [str(entry[4][0]) for entry in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)]

    try:
        answers = await asyncio.get_running_loop().run_in_executor(_threads(), ask)
    except (OSError, UnicodeError):
        raise OutboundError("dns_failed") from None
    found = tuple(dict.fromkeys(ipaddress.ip_address(answer) for answer in answers))
    if not found:
        raise OutboundError("dns_failed")
    return found


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="django-wp-ai-dns")
