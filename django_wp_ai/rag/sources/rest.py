"""Asks a WordPress site's REST API: where it is, one reply as JSON, and what a site says instead."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django_wp_ai.models import Tenant
from django_wp_ai.rag.sources.base import SourceFailed
from django_wp_ai.security.outbound import OutboundError, OutboundReply, send

MAX_REPLY_BYTES = 32 * 1024 * 1024
TIMEOUT_S = 60.0
MAX_REDIRECTS = 3  # to https, to www, to the language's folder
ATTEMPTS = 3
RETRY_BASE_S = 1.0
RETRY_MAX_S = 30.0
_LARGE_BYTES = 256 * 1024  # more is parsed on a thread
_AGAIN = frozenset({429, 500, 502, 503, 504})
_PASSING = frozenset({"timeout", "connection_lost", "connect_failed", "dns_failed"})
_TELLING = {
    401: ("refused", "The site's REST API is closed to visitors."),
    403: ("blocked", "The site's REST API refuses us; a security plugin or firewall may do that."),
    404: ("not_found", "The site has no such REST route."),
    429: ("busy", "The site asks us to come back later."),
}


@dataclass(frozen=True, slots=True)
class Reply:
    """JSON, and the numbers of pages and things that WordPress counts (None where it doesn't tell)."""

    data: Any
    total: int | None
    pages: int | None


class Site:
    """The REST API of a tenant's site, found at the first question."""

    def __init__(self, tenant: Tenant) -> None:
        if not tenant.site_url:
            raise SourceFailed("The tenant has no site URL.", reason="no_site")
        self._home = tenant.site_url.rstrip("/")
        self._hosts = tenant.callback_hosts
        self._base = ""  # what stands before a route, such as https://example.org/wp-json

    async def types(self) -> Mapping[str, Any]:
        """The site's post types by name; finds out where the API is."""
        failed: SourceFailed | None = None
        for base in (f"{self._home}/wp-json", f"{self._home}/?rest_route="):
            self._base = base
            try:
                reply = await self.get("/wp/v2/types", {})
            except SourceFailed as error:
                if error.reason not in {"not_found", "not_json", "failed"}:
                    raise
                failed = failed or error
                continue
            if isinstance(reply.data, dict):
                return reply.data
        raise failed or SourceFailed("The site does not answer as WordPress does.", reason="not_json")

    async def get(self, route: str, query: Mapping[str, str]) -> Reply:
        """One route's JSON; raises SourceFailed, after some attempts if it may pass."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._once(route, query)
            except SourceFailed as error:
                wait_s = error.retry_after_s
                if wait_s is None or wait_s > RETRY_MAX_S or attempt == ATTEMPTS:
                    raise
                await asyncio.sleep(max(wait_s, RETRY_BASE_S * 2 ** (attempt - 1)))
        raise AssertionError

    async def _once(self, route: str, query: Mapping[str, str]) -> Reply:
        joint = "&" if "?" in self._base else "?"
        target = f"{route}{joint if query else ''}{urlencode(query, safe=',:')}"
        try:
            reply = await send(
                "GET",
                self._base + target,
                headers={"accept": "application/json"},
                allowed_hosts=self._hosts,
                max_bytes=MAX_REPLY_BYTES,
                timeout_s=TIMEOUT_S,
                max_redirects=MAX_REDIRECTS,
            )
        except OutboundError as error:
            again = 0.0 if error.code in _PASSING else None
            raise SourceFailed(str(error), reason=error.code, retry_after_s=again) from None
        if reply.status != 200:
            raise _failure(reply)
        if reply.url.endswith(target):  # the next question goes straight to where this one was led
            self._base = reply.url.removesuffix(target)
        return Reply(await _parsed(reply.body), _number(reply, "X-WP-Total"), _number(reply, "X-WP-TotalPages"))


async def _parsed(body: bytes) -> Any:
    try:
        if len(body) > _LARGE_BYTES:
            return await asyncio.to_thread(json.loads, body)
        return json.loads(body)
    except (ValueError, RecursionError):
        raise SourceFailed("The site answers with something else than JSON.", reason="not_json") from None


def _failure(reply: OutboundReply) -> SourceFailed:
    reason, detail = _TELLING.get(reply.status, ("failed", f"The site answers with status {reply.status}."))
    again = reply.headers.get("Retry-After", "")
    wait_s = None
    if reply.status in _AGAIN:
        wait_s = float(again) if again.isascii() and again.isdigit() else 0.0
    return SourceFailed(detail, reason=reason, retry_after_s=wait_s)


def _number(reply: OutboundReply, name: str) -> int | None:
    text = reply.headers.get(name, "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
