"""The client's address behind proxies that the host trusts."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.conf import settings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_WITH_PORT = re.compile(r"([0-9.]+):[0-9]+|\[([^]]+)\](?::[0-9]+)?", re.ASCII)


@lru_cache(maxsize=1024)
def networks(cidrs: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks in CIDR notation; raises ImproperlyConfigured for what is none."""
    try:
        return tuple(ipaddress.ip_network(cidr) for cidr in cidrs)
    except ValueError as error:
        raise ImproperlyConfigured(f"Not a network in CIDR notation: {error}.") from None


def _address(text: str) -> Address | None:
    """The address, an IPv4 one out of its IPv6 mapping; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_within(ip: str, cidrs: tuple[str, ...]) -> bool:
    """Whether an address lies in one of the networks; False for what is no address."""
    known, address = networks(cidrs), _address(ip)
    return address is not None and any(address in network for network in known)


def client_ip(remote_addr: str, forwarded_for: str) -> str:
    """``REMOTE_ADDR``, or the nearest untrusted address of ``X-Forwarded-For`` when trusted proxies sent it.

    A hop that is no address ends the search: what stands left of it was not written by a trusted proxy.
    """
    ip = remote_addr
    for hop in reversed([part.strip() for part in forwarded_for.split(",") if part.strip()][-16:]):
        if not is_within(ip, settings.trusted_proxies):
            return ip
        with_port = _WITH_PORT.fullmatch(hop)
        address = _address(hop if with_port is None else with_port[1] or with_port[2])
        if address is None:
            return ip
        ip = str(address)
    return ip
