"""Streams over the bridge: pulled by whoever reads them, closed whenever the reader leaves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.http import HttpRequest
from django.test import RequestFactory

from django_wp_ai import bridge
from django_wp_ai.bridge import in_thread


def here() -> str:
    return threading.current_thread().name


@pytest.fixture
def wsgi() -> HttpRequest:
    return RequestFactory().get("/")


async def test_under_asgi_a_stream_comes_back_as_it_is() -> None:
    async with ThreadSensitiveContext():
        stream = await bridge.run_stream(HttpRequest(), begin([]))
        assert isinstance(stream, AsyncGenerator)
        assert [number async for number in stream] == [0, 1, 2]


async def numbers(log: list[Any]) -> AsyncGenerator[int, None]:
    try:
        for number in range(3):
            await in_thread(lambda: log.append(here()))
            yield number
    finally:
        log.append("closed")


async def begin(log: list[Any]) -> AsyncGenerator[int, None]:
    return numbers(log)


def driven(request: HttpRequest, log: list[Any]) -> Any:
    """A stream as a WSGI server gets it."""
    return asyncio.run(bridge.run_stream(request, begin(log)))


def test_under_wsgi_a_stream_is_pulled_by_its_reader_item_by_item(wsgi: HttpRequest) -> None:
    log: list[Any] = []
    stream = driven(wsgi, log)
    assert not log
    assert next(stream) == 0
    assert log == [here()]
    assert list(stream) == [1, 2]
    assert log == [here()] * 3 + ["closed"]
    assert list(stream) == []


@pytest.mark.parametrize("pulled", [0, 1, 3])
def test_a_stream_can_be_closed_at_any_time_and_twice(wsgi: HttpRequest, pulled: int) -> None:
    log: list[Any] = []
    stream = driven(wsgi, log)
    for _ in range(pulled):
        next(stream)
    stream.close()
    stream.close()
    assert list(stream) == []
    assert log.count("closed") == (pulled > 0)  # what never began has nothing to close


def test_a_stream_that_breaks_is_closed_and_says_why(wsgi: HttpRequest) -> None:
    async def broken() -> AsyncGenerator[int, None]:
        yield 1
        raise ValueError("broke")

    async def begin_broken() -> AsyncGenerator[int, None]:
        return broken()

    stream: Any = asyncio.run(bridge.run_stream(wsgi, begin_broken()))
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broke"):
        next(stream)
    assert list(stream) == []


def tasks() -> set[Any]:
    """What runs on the process's loop."""

    async def running() -> set[Any]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    return asyncio.run_coroutine_threadsafe(running(), bridge.flow_loop()).result()


def test_no_task_is_left_on_the_loop_when_streams_are_closed_early(wsgi: HttpRequest) -> None:
    before = tasks()
    for _ in range(5):
        stream = driven(wsgi, [])
        next(stream)
        stream.close()

    assert tasks() <= before
