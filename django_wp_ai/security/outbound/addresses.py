"""Which addresses a foreign URL may lead to.

Sources: the IANA special-purpose address registries (RFC 6890) and the metadata addresses that cloud vendors document.
Lists of our own, because what ``ipaddress`` calls global differs between releases of Python.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from django_wp_ai.conf import settings
from django_wp_ai.security.client_ip import Address, Network, networks


def _list(*cidrs: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(cidr) for cidr in cidrs)


#: Where an operator's own machines are: what an allow-listed name opens.
PRIVATE = _list("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "100.64.0.0/10", "fc00::/7", "::1/128")
#: They hand out a machine's own credentials: only the address itself opens one, no name and no wider network.
METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254",  # AWS, Azure, Google Cloud and most others
        "169.254.170.2",  # AWS: tasks of containers
        "169.254.170.23",  # AWS: pods
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",  # Google Cloud
        "100.100.100.200",  # Alibaba Cloud
        "192.0.0.192",  # Oracle Cloud
        "168.63.129.16",  # Azure's platform address, which looks public
    )
)
_NOT_PUBLIC_IPV4 = _list(
    "0.0.0.0/8",  # this network, and the unspecified address
    "10.0.0.0/8",
    "100.64.0.0/10",  # carrier-grade NAT
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local
    "172.16.0.0/12",
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays
    "192.168.0.0/16",
    "198.18.0.0/15",  # benchmarking
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
# Everything outside 2000::/3 is refused: mapped and compatible IPv4, NAT64, ULA, link- and site-local, multicast.
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC_IPV6 = _list(
    "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4
    "3fff::/20",  # documentation
)
_NAT64 = _list("64:ff9b::/96", "64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")


def is_public(address: Address) -> bool:
    """Whether anybody on the internet can be meant by the address, and nobody else."""
    if address in METADATA:
        return False
    if address.version == 4:
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    return address in _GLOBAL_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)


def may_reach(address: Address, *, host_is_listed: bool, listed: Iterable[Address] = ()) -> bool:
    """Whether a connection may go there, for a host that is, or isn't, on the tenant's list."""
    if address in listed or is_public(address):
        return True
    if address in METADATA:
        return any(address in network and network.num_addresses == 1 for network in _allowed())
    if host_is_listed and any(address in network for network in PRIVATE):
        return True
    if not any(address in network for network in _allowed()):
        return False
    inner = _carried(address)
    return inner is None or may_reach(inner, host_is_listed=False)


def _allowed() -> tuple[Network, ...]:
    return networks(settings.outbound_allowed_networks)


def _carried(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address to which a translator or tunnel would pass on what is sent to an IPv6 one."""
    if address.version == 4:
        return None
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
