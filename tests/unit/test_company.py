"""Hops that callers share: nobody waits for company, and who comes during a hop goes with the next."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext

from django_wp_ai import bridge, company
from django_wp_ai.bridge import CallerThread
from django_wp_ai.company import in_company
from django_wp_ai.together import Failed, Steps, ask
from tests.servers import ROOT


class Slow:
    """Answers with the thread's name when it is let; notes who came together."""

    def __init__(self) -> None:
        self.parties: list[list[Any]] = []
        self.begun = threading.Semaphore(0)
        self.let = threading.Semaphore(0)

    def answer(self, party: Sequence[Any]) -> list[str | Failed]:
        self.parties.append(list(party))
        self.begun.release()
        self.let.acquire()
        return [Failed(ValueError()) if one == "bad" else threading.current_thread().name for one in party]

    def steps(self, name: Any) -> Steps[str]:
        return (yield from ask(self.answer, name))

    async def has_begun(self) -> None:
        await asyncio.to_thread(self.begun.acquire)


def join(slow: Slow, *names: Any, line: int = 1) -> list[asyncio.Task[str]]:
    return [asyncio.ensure_future(in_company(line, slow.steps(name))) for name in names]


async def test_who_comes_during_a_hop_goes_with_the_next() -> None:
    slow = Slow()
    async with ThreadSensitiveContext():
        [first] = join(slow, 1)
        await slow.has_begun()
        others = join(slow, 2, 3, 4)
        await asyncio.sleep(0)
        slow.let.release(2)
        assert all(name.startswith("django-wp-ai-db") for name in await asyncio.gather(first, *others))
    assert slow.parties == [[1], [2, 3, 4]]
    assert not company._lines[asyncio.get_running_loop()]


async def test_one_line_does_not_wait_for_another() -> None:
    slow, quick = Slow(), Slow()
    quick.let.release()
    async with ThreadSensitiveContext():
        [stuck] = join(slow, 1)
        await slow.has_begun()
        assert await join(quick, 1, line=2)[0]
        assert not stuck.done()
        slow.let.release()
        await stuck


async def test_a_party_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(company, "MOST", 2)
    slow = Slow()
    slow.let.release(9)
    async with ThreadSensitiveContext():
        await asyncio.gather(*join(slow, *range(6)))
    assert slow.parties == [[0], [1, 2], [3, 4], [5]]


async def test_a_failure_reaches_its_own_caller_only() -> None:
    slow = Slow()
    slow.let.release(9)
    async with ThreadSensitiveContext():
        outcomes = await asyncio.gather(*join(slow, 1, 2, "bad", 3), return_exceptions=True)
    assert [isinstance(one, ValueError) for one in outcomes] == [False, False, True, False]
    assert slow.parties == [[1], [2, "bad", 3]]


async def test_who_leaves_while_waiting_is_never_begun() -> None:
    slow = Slow()
    async with ThreadSensitiveContext():
        [first] = join(slow, 1)
        await slow.has_begun()
        second, third = join(slow, 2, 3)
        await asyncio.sleep(0)
        second.cancel()
        first.cancel()  # its work goes on, and its line with it
        slow.let.release(2)
        assert await third
        assert [first.cancelled(), second.cancelled()] == [True, True]
    assert slow.parties == [[1], [3]]


async def test_a_line_whose_last_one_left_is_over() -> None:
    slow = Slow()
    async with ThreadSensitiveContext():
        [first] = join(slow, 1)
        await slow.has_begun()
        [second] = join(slow, 2)
        await asyncio.sleep(0)
        second.cancel()
        slow.let.release(9)
        await first
        assert await join(slow, 3)[0]
    assert slow.parties == [[1], [3]]


def test_a_loop_that_ends_during_a_hop_loses_the_outcome_only() -> None:
    slow = Slow()

    async def leave() -> None:
        async with ThreadSensitiveContext():
            join(slow, 1)
            await slow.has_begun()

    asyncio.run(leave())
    slow.let.release(9)

    async def again() -> str:
        async with ThreadSensitiveContext():
            return await join(slow, 2)[0]

    assert asyncio.run(again()).startswith("django-wp-ai-db")


async def test_a_process_that_ends_tells_everybody_in_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Slow()

    def ends(*_: Any) -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    async with ThreadSensitiveContext():
        [first] = join(slow, 1)
        await slow.has_begun()
        others = join(slow, 2, 3)
        await asyncio.sleep(0)
        monkeypatch.setattr(bridge, "submit", ends)
        slow.let.release()
        assert await first
        outcomes = await asyncio.gather(*others, *join(slow, 4), return_exceptions=True)
    assert [type(one) for one in outcomes] == [RuntimeError] * 3


async def test_under_wsgi_the_waiting_thread_does_the_work_alone() -> None:
    slow = Slow()
    slow.let.release(9)

    async def both() -> list[str]:
        return await asyncio.gather(*join(slow, 1, 2))

    def drive() -> list[str]:
        caller = CallerThread()
        try:
            return [threading.current_thread().name, *caller.drive(both())]
        finally:
            caller.detach()

    assert len(set(await asyncio.to_thread(drive))) == 1
    assert slow.parties == [[1], [2]]


async def test_elsewhere_django_says_which_thread_does_the_work() -> None:
    slow = Slow()
    slow.let.release()
    assert not (await join(slow, 1)[0]).startswith("django-wp-ai")


SCRIPT = """
import asyncio, os, threading
import django

django.setup()
from asgiref.sync import ThreadSensitiveContext
from django_wp_ai import company
from django_wp_ai.together import ask

let = threading.Event()

def steps(wait):
    return (yield from ask(lambda party: [let.wait(9) if wait else True for _ in party], wait))

async def stay():
    async with ThreadSensitiveContext():
        stuck = asyncio.ensure_future(company.in_company(1, steps(True)))
        await asyncio.sleep(0.1)
        reader, writer = os.pipe()
        if os.fork() == 0:
            os.write(writer, str(len(company._lines)).encode())
            os._exit(0)
        os.close(writer)
        told = os.read(reader, 100).decode()
        os.wait()
        let.set()
        return told, await stuck

import warnings
warnings.simplefilter("ignore")
told, kept = asyncio.run(stay())
print(told, kept)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_a_forked_process_has_no_lines() -> None:
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_DATABASE_URL": "sqlite://"}
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.split() == ["0", "True"]
