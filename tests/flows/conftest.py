"""The gateway without HTTP: flows driven from the test's own thread, so that it sees their rows."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import pytest

from django_wp_ai.bridge import CallerThread
from django_wp_ai.datatypes import ChatRequest, Delta, Message, Principal, TextPart
from django_wp_ai.gateway.chat import open_stream
from django_wp_ai.gateway.ledger import Origin
from django_wp_ai.gateway.stream import ChatStream
from django_wp_ai.models import Credential, Tenant, UsageEvent
from django_wp_ai.models.budget import attach_budgets
from tests.api.conftest import options, providers, vendor, vendor_server
from tests.factories import TenantFactory, make_credential
from tests.vendor.running import RunningVendor

__all__ = ["options", "providers", "vendor", "vendor_server"]
T = TypeVar("T")
ORIGIN = Origin("chat", "request-1")


def asking(text: str, **fields: Any) -> ChatRequest:
    """A chat request of one user message."""
    return ChatRequest(messages=(Message("user", (TextPart(text),)),), **fields)


def principal_for(tenant: Tenant, credential: Credential) -> Principal:
    """Who calls, as authentication would have it."""
    attach_budgets([tenant])
    return Principal(tenant=tenant, credential=credential, scopes=frozenset(credential.scopes), method="api_key")


async def until_asked(vendor: RunningVendor) -> None:
    """Wait for the vendor's first request."""

    def wait() -> None:
        while not vendor.requests:
            time.sleep(0.01)

    await asyncio.to_thread(wait)


async def read(opened: ChatStream, count: int | None = None) -> list[Delta]:
    """So many deltas of a stream, or all."""
    found: list[Delta] = []
    while (count is None or len(found) < count) and (delta := await opened.next()) is not None:
        found.append(delta)
    return found


Tasks = set[asyncio.Task[Any]]


async def _tasks() -> Tasks:
    return asyncio.all_tasks()


async def _all_over(but: Tasks) -> None:
    while others := asyncio.all_tasks() - but - {asyncio.current_task()}:
        await asyncio.wait(others)


class Street:
    """A caller of flows; ``run`` drives one, ``finish`` waits until no task that they began is left."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self._caller = CallerThread()
        self._others = self.run(_tasks())

    def run(self, flow: Coroutine[Any, Any, T]) -> T:
        return self._caller.drive(flow)

    def open(self, request: ChatRequest) -> ChatStream:
        return self.run(open_stream(self.principal, request, ORIGIN))

    def finish(self) -> None:
        self.run(_all_over(self._others))

    def row(self) -> UsageEvent:
        """The one usage row."""
        return UsageEvent.objects.for_tenant(self.principal.tenant).get()


@pytest.fixture
def street(db: None) -> Iterator[Street]:
    tenant = TenantFactory.create()
    street = Street(principal_for(tenant, make_credential("api_key", tenant=tenant).credential))
    yield street
    street.finish()


@pytest.fixture
def odd(settings: Any, providers: None) -> None:
    configured = {**settings.DJANGO_WP_AI["PROVIDERS"], "odd": {"class": "tests.flows.odd.Odd"}}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": configured}


@pytest.fixture
def no_drain(settings: Any, providers: None) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "DISCONNECT_DRAIN_S": 0}
