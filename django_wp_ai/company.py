"""Hops to a database thread that callers share: who comes while one is under way goes with the next.

Nobody waits for company: a caller alone sets off at once. So one connection commits, and one thread wakes, for as many
calls as came during the last commit.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Hashable, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from django_wp_ai import bridge
from django_wp_ai.together import Failed, Steps, alone, own, together

T = TypeVar("T")

MOST = 64  # of one hop; a party that is too large makes the first of it wait for the last


@dataclass(frozen=True, slots=True)
class _Caller:
    context: Context
    steps: Steps[Any]
    outcome: asyncio.Future[Any]


_Lines = dict[Hashable, list[_Caller]]
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Lines] = WeakKeyDictionary()
"""Of each loop the lines with a hop under way, and who waits in them."""


async def in_company(line: Hashable, steps: Steps[T]) -> T:
    """As ``bridge.in_thread`` for steps; those that wait in the same line make a hop together.

    One that is cancelled while it waits is never begun. Whatever holds up a step holds up its line, so a line should be
    of callers who queue for the same rows anyway.
    """
    if not bridge.is_pooled():
        return await bridge.in_thread(alone, steps)
    loop = asyncio.get_running_loop()
    caller = _Caller(copy_context(), steps, loop.create_future())
    lines = _lines.setdefault(loop, {})
    if line in lines:
        lines[line].append(caller)
    else:
        _set_off(loop, line, [caller])
    result: T = await caller.outcome
    return result


def _set_off(loop: asyncio.AbstractEventLoop, line: Hashable, callers: list[_Caller]) -> None:
    """On the loop: begin a hop with the first of them; the others wait."""
    party = callers[:MOST]
    try:
        bridge.submit(_go, loop, line, party)
    except RuntimeError as error:  # the process ends
        _lines[loop].pop(line, None)
        _deal(callers, [Failed(own(error)) for _ in callers])
    else:
        _lines[loop][line] = callers[MOST:]


def _go(loop: asyncio.AbstractEventLoop, line: Hashable, party: Sequence[_Caller]) -> None:
    """On a thread."""
    left = [caller for caller in party if not caller.outcome.cancelled()]
    outcomes: Sequence[Any]
    try:
        flows = [(caller.context, caller.steps) for caller in left]
        outcomes = bridge.with_connections(partial(together, flows, after_failure=bridge.let_connections_go))
    except BaseException as error:  # noqa: BLE001 - carried to the awaiting flows
        outcomes = [Failed(own(error)) for _ in left]
    with suppress(RuntimeError):  # the loop ended meanwhile
        loop.call_soon_threadsafe(_arrived, loop, line, left, outcomes)


def _arrived(
    loop: asyncio.AbstractEventLoop, line: Hashable, party: Sequence[_Caller], outcomes: Sequence[Any]
) -> None:
    """On the loop: let the next ones go, then deal out."""
    waiting = [caller for caller in _lines[loop].pop(line, ()) if not caller.outcome.done()]
    if waiting:
        _set_off(loop, line, waiting)
    _deal(party, outcomes)


def _deal(party: Sequence[_Caller], outcomes: Sequence[Any]) -> None:
    for caller, outcome in zip(party, outcomes, strict=True):
        if caller.outcome.done():  # cancelled, or told of a failure though the pool had taken the hop
            continue
        if isinstance(outcome, Failed):
            caller.outcome.set_exception(outcome.error)
        else:
            caller.outcome.set_result(outcome)


if hasattr(os, "register_at_fork"):  # a hop of the parent never arrives in the child
    os.register_at_fork(after_in_child=_lines.clear)
