"""The bridge between event loops and threads: who does the blocking work, and what happens when somebody leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.db import connection
from django.db.utils import ConnectionHandler
from django.http import HttpRequest
from django.test import RequestFactory

from django_wp_ai import bridge
from django_wp_ai.bridge import CallerThread, in_pool, in_thread, in_tool_thread
from django_wp_ai.conf import settings
from django_wp_ai.models import Tenant
from tests.factories import TenantFactory

marked: ContextVar[str] = ContextVar("marked", default="")


def here() -> str:
    return threading.current_thread().name


async def where() -> tuple[str, str]:
    """The thread of the flow, and that of its blocking work."""
    return here(), await in_thread(here)


@pytest.fixture
def caller() -> Iterator[CallerThread]:
    caller = CallerThread()
    yield caller
    caller.detach()


@pytest.fixture
def wsgi() -> HttpRequest:
    return RequestFactory().get("/")


@pytest.fixture
def asgi() -> HttpRequest:
    return HttpRequest()


# Work of a flow


def test_a_flows_blocking_work_is_done_by_the_thread_that_waits(caller: CallerThread) -> None:
    assert caller.drive(where()) == ("django-wp-ai-flows", here())


@pytest.mark.django_db
def test_the_work_sees_the_waiting_threads_transaction(caller: CallerThread) -> None:
    tenant = TenantFactory.create()

    async def rename() -> str:
        await in_thread(Tenant.objects.filter(pk=tenant.pk).update, name="New")
        return str(await in_thread(lambda: Tenant.objects.get(pk=tenant.pk).name))

    assert caller.drive(rename()) == "New"
    assert connection.in_atomic_block


def test_an_error_of_the_work_reaches_the_flow_and_one_of_the_flow_the_caller(caller: CallerThread) -> None:
    def fail() -> None:
        raise KeyError("work")

    async def flow() -> None:
        with pytest.raises(KeyError, match="work"):
            await in_thread(fail)
        raise ValueError("flow")

    with pytest.raises(ValueError, match="flow"):
        caller.drive(flow())


def test_arguments_are_handed_on(caller: CallerThread) -> None:
    async def flow() -> str:
        return await in_thread("{0}{last}".format, "a", last="b")

    assert caller.drive(flow()) == "ab"


def test_work_that_nobody_waits_for_any_more_is_not_begun(caller: CallerThread) -> None:
    begun = []

    async def flow() -> None:
        work = asyncio.ensure_future(in_thread(begun.append, 1))
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.wait([work])

    blocker = threading.Event()

    async def blocked() -> None:
        first = asyncio.ensure_future(in_thread(blocker.wait))
        await asyncio.sleep(0)
        await flow()
        blocker.set()
        await first

    caller.drive(blocked())
    assert not begun


def test_work_of_a_task_left_behind_is_done_at_the_next_drive_or_when_the_caller_leaves() -> None:
    caller, done = CallerThread(), []

    async def leave_behind(number: int) -> None:
        async def later() -> None:
            await asyncio.sleep(0.01)
            await in_thread(done.append, (number, here_id()))

        tasks.append(asyncio.ensure_future(later()))

    async def wait() -> None:
        await asyncio.wait(tasks)

    def here_id() -> str:
        return "asked"

    tasks: list[asyncio.Task[None]] = []
    caller.drive(leave_behind(1))
    caller.drive(wait())
    assert [number for number, _ in done] == [1]
    caller.drive(leave_behind(2))
    caller.detach()
    caller.detach()  # twice is once
    asyncio.run_coroutine_threadsafe(wait(), bridge.flow_loop()).result()
    assert [number for number, _ in done] == [1, 2]


def test_after_the_caller_left_the_pool_does_the_work() -> None:
    caller = CallerThread()
    caller.detach()
    flow, work = asyncio.run_coroutine_threadsafe(_as_caller(caller), bridge.flow_loop()).result()
    assert flow == "django-wp-ai-flows"
    assert work.startswith("django-wp-ai-db")


async def _as_caller(caller: CallerThread) -> tuple[str, str]:
    token = bridge._caller.set(caller)
    try:
        return await where()
    finally:
        bridge._caller.reset(token)


async def test_under_an_asgi_server_the_pool_does_the_work_in_the_requests_context() -> None:
    marked.set("mine")
    async with ThreadSensitiveContext():
        assert (await in_thread(here)).startswith("django-wp-ai-db")
        assert await in_thread(marked.get) == "mine"
        with pytest.raises(KeyError):
            await in_thread({}.__getitem__, "x")


async def test_elsewhere_django_says_which_thread_does_the_work() -> None:
    assert not (await in_thread(here)).startswith("django-wp-ai")


# Requests


async def test_under_asgi_a_flow_runs_where_it_is_awaited(asgi: HttpRequest) -> None:
    async with ThreadSensitiveContext():
        assert (await bridge.run(asgi, where()))[0] == here()


async def test_under_wsgi_a_flow_runs_on_the_processs_loop(wsgi: HttpRequest) -> None:
    flow, work = await bridge.run(wsgi, where())
    assert flow == "django-wp-ai-flows"
    assert not work.startswith("django-wp-ai")


async def test_under_wsgi_a_failing_flow_fails_for_its_request(wsgi: HttpRequest) -> None:
    async def fail() -> AsyncGenerator[int, None]:
        raise ValueError("before the first item")

    with pytest.raises(ValueError, match="before"):
        await bridge.run(wsgi, fail())
    with pytest.raises(ValueError, match="before"):
        await bridge.run_stream(wsgi, fail())


def test_many_threads_are_served_by_one_loop() -> None:
    seen: list[tuple[str, str]] = []

    def serve() -> None:
        caller = CallerThread()
        seen.extend(caller.drive(where()) for _ in range(20))
        caller.detach()

    threads = [threading.Thread(target=serve, name=f"reader-{number}") for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 160
    assert {flow for flow, _ in seen} == {"django-wp-ai-flows"}
    assert {work for _, work in seen} == {f"reader-{number}" for number in range(8)}


# The host's own tools


async def test_a_hosts_tool_runs_on_threads_of_their_own_with_the_callers_context() -> None:
    def work(name: str) -> str:
        return f"{here()} {marked.get()} {name}"

    marked.set("marked")
    thread, context, name = (await in_tool_thread(work, "given")).split()
    assert thread.startswith("django-wp-ai-tool")
    assert (context, name) == ("marked", "given")


async def test_tools_that_hang_hold_up_no_database_work() -> None:
    released = threading.Event()
    hanging = [asyncio.ensure_future(in_tool_thread(released.wait)) for _ in range(settings.tool_threads + 1)]
    async with ThreadSensitiveContext():
        assert await in_thread(here)
    released.set()
    assert all(await asyncio.gather(*hanging))


# Connections of a host's pool


def pooled(**options: Any) -> list[bool]:
    """On this thread: whether a connection of a pool is kept after a hop, and once it was kept for long enough."""
    settings = {**connection.settings_dict, "CONN_MAX_AGE": 0, "OPTIONS": {"pool": options}}
    found = ConnectionHandler({"default": settings, "pooled": settings})["pooled"]
    try:
        found.ensure_connection()
        found.close_if_unusable_or_obsolete()
        kept = [found.connection is not None]
        if found.close_at is not None:
            found.close_at -= bridge.KEPT_S
        found.close_if_unusable_or_obsolete()
        return [*kept, found.connection is not None]
    finally:
        found.close()
        found.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's has it


@pytest.mark.postgresql
@pytest.mark.django_db
async def test_database_threads_keep_a_pools_connection_for_a_while() -> None:
    assert await in_pool(partial(pooled, min_size=0, max_size=2 * settings.db_threads)) == [True, False]


@pytest.mark.postgresql
@pytest.mark.django_db
async def test_database_threads_keep_none_of_a_pool_that_others_could_run_out_of() -> None:
    assert await in_pool(partial(pooled, min_size=0, max_size=2 * settings.db_threads - 1)) == [False, False]


@pytest.mark.postgresql
@pytest.mark.django_db
def test_other_threads_keep_none_of_a_pools_connections() -> None:
    assert pooled(min_size=0, max_size=2 * settings.db_threads) == [False, False]
