"""Whom an address stands for."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_SITE_BITS = 64  # one subscriber has at least that many addresses

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@lru_cache(maxsize=4096)
def network_of(ip: str) -> Network | None:
    """What is counted for an address: itself, or its IPv6 network; None for what is no address."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return None
    address = getattr(address, "ipv4_mapped", None) or address
    bits = IPV6_SITE_BITS if address.version == 6 and not address.is_loopback else address.max_prefixlen
    return ipaddress.ip_network((address.packed, bits), strict=False)
