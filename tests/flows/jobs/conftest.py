"""Sites that create jobs of the kind ``echo``."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs import claims, create, registry, room, transitions
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.models import Job
from tests.caches import clean_cache, own_server
from tests.factories import TenantFactory, make_credential
from tests.flows.conftest import Street, principal_for
from tests.flows.jobs import kinds
from tests.flows.jobs.working import Work

__all__ = ["clean_cache", "own_server"]


@pytest.fixture(autouse=True)
def _echo(clean_cache: None) -> Iterator[None]:
    before = dict(registry._kinds)
    kinds.register()
    room._places.clear()  # tenants of other tests may have had the same ids
    yield
    registry._kinds.clear()
    registry._kinds.update(before)


@pytest.fixture(autouse=True)
def _longest_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that failed waits as long as it may: by chance it could be due again at once."""
    monkeypatch.setattr(transitions, "random", SimpleNamespace(uniform=lambda _least, most: most))


def site(**fields: Any) -> Principal:
    """Who calls for a site of its own."""
    tenant = TenantFactory.create(**fields)
    return principal_for(tenant, make_credential("api_key", tenant=tenant).credential)


def new(text: str = "hello", **fields: Any) -> create.NewJob:
    return create.NewJob(**{"kind": "echo", "input": {"text": text}} | fields)


def queued(principal: Principal, text: str = "hello", **fields: Any) -> Job:
    return create.create(principal, new(text, **fields)).job


def claimed(principal: Principal, **fields: Any) -> Claim:
    """One new job, in the hands of ``worker-1``."""
    job = queued(principal, **fields)
    [claim] = [claim for claim in claims.claim(worker="worker-1", at_most=1) if claim.job.pk == job.pk]
    return claim


def fresh(job: Job | Claim) -> Job:
    return Job.objects.select_related("tenant").get(pk=job.job.pk if isinstance(job, Claim) else job.pk)


@pytest.fixture
def principal(db: None) -> Principal:
    return site()


@pytest.fixture
def work(street: Street) -> Work:
    return Work(street)
