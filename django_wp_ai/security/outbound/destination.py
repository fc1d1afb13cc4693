"""What a foreign URL says, read once and strictly: one spelling of each host, nothing that two readers read apart."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import quote

from yarl import URL

from django_wp_ai.security.client_ip import Address
from django_wp_ai.security.outbound.addresses import may_reach
from django_wp_ai.security.outbound.errors import OutboundError

MAX_URL_CHARS = 4096
DEFAULT_PORTS = {"http": 80, "https": 443}
#: Services that speak something else, and could be made to act on the text of a request. See docs/security.md.
REFUSED_PORTS = frozenset(
    {7, 9, 13, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 79, 88, 109, 110, 111, 113, 119, 123, 135, 137, 138, 139}
    | {143, 161, 162, 179, 389, 445, 465, 512, 513, 514, 515, 540, 548, 554, 563, 587, 601, 636, 873, 989, 990, 993}
    | {995, 1433, 1521, 1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 5060, 5061, 5432, 5672, 5900, 6000, 6379, 6566}
    | {6665, 6666, 6667, 6668, 6669, 6697, 9042, 10080, 11211, 27017}
)

_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<target>[^#]*)(?:#.*)?", re.ASCII | re.IGNORECASE)
_AUTHORITY = re.compile(r"(?:\[(?P<ipv6>[0-9a-f:.]+)\]|(?P<host>[^][@:%\s]+))(?::(?P<port>[0-9]{0,5}))?", re.IGNORECASE)
_NEVER = re.compile(r"[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff]")
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_KEPT_IN_TARGET = "!$%&'()*+,-./:;=?@_~[]"
_LOOPBACK: tuple[Address, ...] = (ipaddress.IPv4Address("127.0.0.1"), ipaddress.IPv6Address("::1"))


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts that may be private, as compared: lower-case names in their ASCII form, and addresses."""

    names: frozenset[str]
    addresses: frozenset[Address]

    @classmethod
    def of(cls, hosts: Sequence[str]) -> AllowList:
        """From a tenant's ``callback_hosts``; an entry that is no host allows nothing."""
        names, addresses = set(), set()
        for host in hosts:
            try:
                name, address = _host(host)
            except OutboundError:
                continue
            names.add(name)
            if address is not None:
                addresses.add(address)
        return cls(frozenset(names), frozenset(addresses))


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request goes; ``address`` is set if the URL names one, and ``host`` its usual spelling then."""

    scheme: str
    host: str
    address: Address | None
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Whom headers and bodies are meant for."""
        return (self.scheme, self.host, self.port)

    @property
    def url(self) -> str:
        """The URL in its one spelling."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == DEFAULT_PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.target}"


def check_url(url: str, *, allowed_hosts: Sequence[str] = ()) -> None:
    """Refuse what can be refused without a look-up; raises OutboundError("url_refused") that says what is wrong."""
    read(url, AllowList.of(allowed_hosts))


def read(url: str, allow: AllowList) -> Destination:
    """As ``check_url``, and where it leads."""
    destination = _parsed(url)
    listed = destination.host in allow.names
    if destination.port in REFUSED_PORTS and not listed:
        _refuse("The port belongs to another kind of service.")
    literal: tuple[Address, ...] = () if destination.address is None else (destination.address,)
    if destination.host == "localhost" or destination.host.endswith(".localhost"):
        literal = _LOOPBACK
    if literal and not any(may_reach(one, host_is_listed=listed, listed=allow.addresses) for one in literal):
        _refuse("The host is not public.")
    return destination


def _parsed(url: str) -> Destination:
    if len(url) > MAX_URL_CHARS:
        _refuse("The URL is too long.")
    if _NEVER.search(url) or url != url.strip():
        _refuse("The URL has characters that no URL has.")
    parts = _URL.fullmatch(url)
    if parts is None:
        _refuse("The URL must begin with http:// or https://.")
    authority = _AUTHORITY.fullmatch(parts["authority"])
    if authority is None:
        _refuse("The URL must name a host, and no user.")
    scheme = parts["scheme"].lower()
    host, address = _host(authority["ipv6"] or authority["host"])
    if (":" in host) != bool(authority["ipv6"]):
        _refuse("The host is not valid.")
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    if not 1 <= port <= 65535:
        _refuse("The port is not valid.")
    target = quote(parts["target"], safe=_KEPT_IN_TARGET)
    destination = Destination(scheme, host, address, port, target if target.startswith("/") else f"/{target}")
    _check_agreement(destination)
    return destination


def _host(text: str) -> tuple[str, Address | None]:
    """A name in its ASCII form, or an address in its usual spelling; any other spelling of one is refused."""
    if ":" in text:
        try:
            ipv6 = ipaddress.IPv6Address(text)
        except ValueError:
            _refuse("The host is not valid.")
        return str(ipv6), ipv6
    name = _ascii(text).lower().removesuffix(".")
    if len(name) > 253 or not _NAME.fullmatch(name):
        _refuse("The host is not valid.")
    if not _NUMBER.fullmatch(name.rpartition(".")[2]):
        return name, None
    try:
        ipv4 = ipaddress.IPv4Address(name)
    except ValueError:
        _refuse("The address is written in an unusual way.")
    return str(ipv4), ipv4


def _ascii(host: str) -> str:
    """An international name as it is looked up (UTS 46), which also makes digits of what only looks like them."""
    if host.isascii():
        return host
    try:
        return URL.build(scheme="http", host=host).raw_host or ""
    except ValueError:
        _refuse("The host is not valid.")


def _check_agreement(destination: Destination) -> None:
    """aiohttp must read the URL as we did."""
    try:
        read_by_yarl = URL(destination.url, encoded=True)
        theirs = (read_by_yarl.scheme, read_by_yarl.raw_host, read_by_yarl.port)
        path = read_by_yarl.raw_path
    except ValueError:
        _refuse("The URL is not valid.")
    if theirs != destination.origin or path != destination.target.partition("?")[0]:
        _refuse("The URL is not valid.")


def _refuse(message: str) -> NoReturn:
    raise OutboundError("url_refused", message)
