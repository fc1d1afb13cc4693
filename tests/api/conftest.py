"""A site with keys, and providers that talk to the vendor stand-in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from django.http.response import HttpResponseBase
from django.test import Client

from django_wp_ai.bridge import flow_loop
from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.providers import registry
from django_wp_ai.security.issue import SiteKeys, issue_site_keys
from tests.factories import TenantFactory
from tests.vendor.running import RunningVendor
from tests.vendor.running import vendor as running_vendor

MOUNT = "/wp-ai/"


@pytest.fixture(scope="session")
def vendor_server() -> Iterator[RunningVendor]:
    with running_vendor() as server:
        yield server


@pytest.fixture
def vendor(vendor_server: RunningVendor) -> RunningVendor:
    vendor_server.clear()
    return vendor_server


def options(vendor_url: str, **extra: Any) -> dict[str, Any]:
    """``DJANGO_WP_AI`` with both vendors at the stand-in and the offline provider."""
    return {
        "PROVIDERS": {
            "openai": {"api_key": "vendor-key-openai", "base_url": f"{vendor_url}/v1"},
            "anthropic": {"api_key": "vendor-key-anthropic", "base_url": vendor_url},
            "offline": {},
        },
        "DEFAULT_MODEL": "openai:gpt-4o-mini",
        "MODEL_ALIASES": {"fast": "openai:gpt-4o-mini", "legacy-*": "offline:offline-extractive"},
        "DISCONNECT_DRAIN_S": 5.0,
        "RETRY_BASE_S": 0.01,
        "MAX_ATTEMPTS": 1,  # what a failure looks like; tests of further attempts say how many
        **extra,
    }


@pytest.fixture(autouse=True)
def providers(vendor: RunningVendor, settings: Any) -> Iterator[None]:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options(vendor.url)}
    # SQLite gives a rolled-back id again: what the cache counted for it must not count in another test.
    settings.CACHES = {"default": {**settings.CACHES["default"], "KEY_PREFIX": uuid4().hex}}
    yield
    asyncio.run_coroutine_threadsafe(registry.aclose(), flow_loop()).result()


@dataclass
class Site:
    """A tenant, its keys, and calls in its name with Django's test client."""

    tenant: Tenant
    keys: SiteKeys
    client: Client

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.api_key.secret}"}

    def post(self, path: str, body: Any, *, headers: dict[str, str] | None = None, **extra: Any) -> Any:
        data = body if isinstance(body, (bytes, str)) else json.dumps(body)
        extra.setdefault("content_type", "application/json")
        return self.client.post(MOUNT + path, data, headers=self.auth if headers is None else headers, **extra)

    def get(self, path: str, *, headers: dict[str, str] | None = None) -> Any:
        return self.client.get(MOUNT + path, headers=self.auth if headers is None else headers)

    def usage(self) -> list[UsageEvent]:
        return list(UsageEvent.objects.for_tenant(self.tenant).order_by("id"))


@pytest.fixture
def site(db: None, client: Client) -> Site:
    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), client)


def body_of(response: HttpResponseBase) -> bytes:
    """All of a streamed reply."""
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Event:
    """One server-sent event as a client reads it."""

    name: str
    data: Any


def events(raw: bytes) -> list[Event]:
    """Parse an event stream; comments are left out, ``[DONE]`` stays text."""
    found = []
    for block in raw.decode().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(":")]
        if not lines:
            continue
        name = next((line[7:] for line in lines if line.startswith("event: ")), "")
        data = "\n".join(line[6:] for line in lines if line.startswith("data: "))
        found.append(Event(name, data if data == "[DONE]" else json.loads(data)))
    return found
