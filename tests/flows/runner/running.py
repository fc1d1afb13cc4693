"""A runner beside a test: its loop is the test's, its kinds are the test's own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from asgiref.sync import ThreadSensitiveContext
from pydantic import BaseModel

from django_wp_ai.bridge import in_pool
from django_wp_ai.jobs import payload
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.jobs.runner import Runner
from django_wp_ai.models import Credential, Job, Tenant
from tests.factories import make_credential

T = TypeVar("T")


class Nothing(BaseModel):
    """No input."""


class Number(BaseModel):
    """A result."""

    number: int = 0


class Gate:
    """A kind whose attempts wait in it until they are let go."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.entered = 0
        self.cancelled = 0
        self._open = asyncio.Event()
        job_kind("gate", input=Nothing, output=Number)(self.run)

    async def run(self, _context: Any, _given: Nothing) -> Number:
        """Wait."""
        self.entered += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._open.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.inside -= 1
        return Number(number=7)

    def open(self) -> None:
        """Let them all go."""
        self._open.set()


def queued(tenant: Tenant, kind: str = "gate", **fields: Any) -> Job:
    """A job as it is created."""
    credential = Credential.objects.for_tenant(tenant).first() or make_credential("api_key", tenant=tenant).credential
    fields.setdefault("credential", credential)
    return Job.objects.create(**{"tenant": tenant, "kind": kind, "input_sealed": payload.seal({}), **fields})


async def in_database(call: Callable[[], T]) -> T:
    """Rows as another connection sees them."""
    return await in_pool(call)


async def row(job: Job) -> Job:
    """The job as it is now."""
    return await in_pool(Job.objects.get, pk=job.pk)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something in memory."""
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.005)


async def until_row(job: Job, condition: Callable[[Job], bool]) -> Job:
    """Wait for something in the database."""
    while not condition(found := await row(job)):  # noqa: ASYNC110 - the database tells nobody
        await asyncio.sleep(0.01)
    return found


def ended(job: Job) -> bool:
    """Whether it has ended."""
    return job.is_finished


@asynccontextmanager
async def running(runner: Runner | None = None) -> AsyncIterator[Runner]:
    """A runner at work; at the end of the block it is stopped and has drained."""
    runner = runner or Runner(f"test:{uuid.uuid4().hex}")
    stopping = asyncio.Event()
    async with ThreadSensitiveContext():
        task = asyncio.create_task(runner.run(stopping))
        try:
            yield runner
        finally:
            stopping.set()
            await task
