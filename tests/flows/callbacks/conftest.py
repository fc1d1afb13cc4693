"""A site with a receiver, and workers that deliver when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from django_wp_ai.callbacks import outbox
from django_wp_ai.callbacks.claims import Claim, claim
from django_wp_ai.callbacks.delivery import deliver
from django_wp_ai.models import Callback, Tenant
from django_wp_ai.security.issue import Issued
from tests.factories import TenantFactory, make_credential
from tests.flows.callbacks.receiver import Receiver, receiving

SetUp = Callable[..., None]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@pytest.fixture
def site() -> Tenant:
    return TenantFactory.create()


@pytest.fixture
def secret(site: Tenant) -> Issued:
    return make_credential("callback", tenant=site)


@pytest.fixture
def configure(settings: Any) -> SetUp:
    def change(**keys: Any) -> None:
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **keys}

    return change


def put(tenant: Tenant, receiver: Receiver, **options: Any) -> Callback:
    """A callback that is due."""
    defaults: dict[str, Any] = {"url": receiver.url, "type": "thing.done", "data": {"n": 1}}
    return outbox.put(tenant, **{**defaults, **options})


def deliver_due(at_most: int = 100) -> int:
    """Claim what is due and make an attempt of each at once; how many were claimed."""
    claims = claim(at_most=at_most)
    run_all(claims)
    return len(claims)


def run_all(claims: list[Claim]) -> None:
    async def run() -> None:
        await asyncio.gather(*(deliver(one) for one in claims))

    asyncio.run(run())


def make_due(callback: Callback | None = None) -> None:
    """Let the wait be over, of one or all that wait."""
    rows = Callback.objects.filter(state="pending", **({"pk": callback.pk} if callback else {}))
    rows.update(next_attempt_at=Now() - timedelta(seconds=1))


def fresh(callback: Callback) -> Callback:
    return Callback.objects.select_related("endpoint").get(pk=callback.pk)
