"""One request of an exchange, and the next one that a redirect asks for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin

from aiohttp import ClientResponse

from django_wp_ai.security.outbound.destination import MAX_URL_CHARS, AllowList, Destination, read
from django_wp_ai.security.outbound.errors import OutboundError

REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "django-wp-ai"
#: What another origin may be told too; all else (authorization, cookies, signatures) was meant for the first one.
_FOR_ANYBODY = frozenset({"accept", "accept-language", "if-modified-since", "if-none-match", "range", "user-agent"})
#: The client's own: how a message is framed, coded and passed on.
_OURS = frozenset(
    {"accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "te", "trailer"}
    | {"transfer-encoding", "upgrade"}
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_NOT_IN_REFERENCE = re.compile(r"[^\x21-\x5b\x5d-\x7e\x80-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Hop:
    """A request as it is sent."""

    method: str
    destination: Destination
    headers: Mapping[str, str]
    body: bytes


def first_hop(method: str, destination: Destination, headers: Mapping[str, str], body: bytes) -> Hop:
    """The caller's request; raises OutboundError("request_invalid") for what would not arrive as it was meant."""
    if not _TOKEN.fullmatch(method) or method.upper() in {"CONNECT", "TRACE"}:
        raise OutboundError("request_invalid")
    wanted = {"accept": "*/*", "user-agent": USER_AGENT}
    for name, value in headers.items():
        low = name.lower()
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value) or low in _OURS or low.startswith("proxy-"):
            raise OutboundError("request_invalid")
        wanted[low] = value
    return Hop(method.upper(), destination, {**wanted, "accept-encoding": "identity"}, body)


def next_hop(hop: Hop, response: ClientResponse, allow: AllowList) -> Hop | None:
    """Where a redirect leads, checked like the first URL but not resolved yet; None for what is no redirect."""
    location = response.headers.get("Location")
    if response.status not in REDIRECTS or location is None:
        return None
    # urljoin would drop some characters in silence, so that it and the check read different things.
    if len(location) > MAX_URL_CHARS or _NOT_IN_REFERENCE.search(location):
        raise OutboundError("url_refused")
    try:
        destination = read(urljoin(hop.destination.url, location), allow)
    except ValueError:
        raise OutboundError("url_refused") from None
    if hop.destination.scheme == "https" and destination.scheme == "http":
        raise OutboundError("url_refused", "The redirect leads from https to http.")
    following = replace(hop, destination=destination)
    if response.status == 303 or (response.status in {301, 302} and hop.method == "POST"):
        following = replace(following, method="HEAD" if hop.method == "HEAD" else "GET", body=b"")
        following = replace(following, headers=_without(following.headers, "content-"))
    if destination.origin == hop.destination.origin:
        return following
    if following.body:
        raise OutboundError("url_refused", "The redirect would send the body to another site.")
    kept = {name: value for name, value in following.headers.items() if name in _FOR_ANYBODY | {"accept-encoding"}}
    return replace(following, headers=kept)


def _without(headers: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.startswith(prefix)}
