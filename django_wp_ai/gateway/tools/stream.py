"""A stream of a call with the host's own tools: several streams of the main street, read as one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, cast

from django_wp_ai.datatypes import (
    ChatRequest,
    ChatResult,
    Choice,
    Delta,
    FinishReason,
    Principal,
    ToolCall,
    ToolCallDelta,
)
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.chat import open_stream
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.stream import ChatStream
from django_wp_ai.gateway.tools.work import Work

_running: set[asyncio.Task[None]] = set()  # tools that are not to be stopped half-way; the loop holds tasks weakly


async def open_stream_with_tools(principal: Principal, request: ChatRequest, origin: Origin) -> ToolStream:
    """Begin a stream and wait for the first step's first delta, so that a refusal is raised here."""
    work = Work.begin(principal, request, origin)
    return ToolStream(work, await open_stream(principal, work.request, work.origin))


class ToolStream:
    """Reads like ``ChatStream``. Text is handed over as it comes, at every step; a delta with ``tool_step`` tells that
    a tool has run. Tool calls are known at the end of a step only, and only those for the caller are handed over.

    It works as it is read: a reader that leaves lets running tools end, and no further step begins. A step after the
    first may be refused like any call, which ``next`` raises.
    """

    def __init__(self, work: Work, stream: ChatStream) -> None:
        self._work = work
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._ready: deque[Delta] = deque()
        self._texts: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._must_open = False
        self._left = False
        self._over = False
        self._total: ledger.Call | None = None
        self.tool_calls: dict[tuple[int, int], ToolCall] = {}

    @property
    def call(self) -> ledger.Call:
        """The step's call; at the end the last step's, with the usage of all."""
        return self._total or self._stream.call

    async def next(self, *, timeout_s: float | None = None) -> Delta | None:
        """The next delta, None at the end; raises TimeoutError after silence and what broke or refused a step."""
        while not self._ready and not self._over:
            if self._task is not None:
                await self._wait(self._task, timeout_s)
            elif self._must_open:
                self._must_open = False
                self._begin(self._open())
            else:
                await self._read(timeout_s)
        return self._ready.popleft() if self._ready else None

    def leave(self) -> None:
        """The reader is gone (or done). May be called from any thread, and more than once."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._left = self._over = True
        self._ready.clear()
        self._stream.leave()

    def _begin(self, flow: Coroutine[Any, Any, None]) -> None:
        self._task = self._loop.create_task(flow)
        _running.add(self._task)
        self._task.add_done_callback(_forget)

    async def _wait(self, task: asyncio.Task[None], timeout_s: float | None) -> None:
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise TimeoutError
        self._task = None
        try:
            task.result()
        except BaseException:
            self._over = True
            raise

    async def _read(self, timeout_s: float | None) -> None:
        try:
            delta = await self._stream.next(timeout_s=timeout_s)
        except WpAiError:
            self._over = True
            raise
        if delta is None:
            self._end_step()
        else:
            self._pass_on(delta)

    def _pass_on(self, delta: Delta) -> None:
        if delta.text:
            self._texts.append(delta.text)
        if delta.text or delta.refusal:
            self._ready.append(replace(delta, tool_call=None, finish_reason=None))

    def _end_step(self) -> None:
        """Run what the model called, or end with what it called of the caller's."""
        call = self._stream.call
        self._work.count(call)
        finish = cast("FinishReason", call.finish_reason or "stop")
        choice = Choice("".join(self._texts), finish, tuple(self._stream.tool_calls.values()))
        result = ChatResult((choice,), call.usage, call.model)
        known = len(self._work.trace)
        if self._work.goes_on(result):
            self._begin(self._run(result))
            return
        self._ready.extend(Delta(tool_step=step) for step in self._work.trace[known:])
        self._finish(self._work.shown(result).choices[0])

    def _finish(self, choice: Choice) -> None:
        for index, asked in enumerate(choice.tool_calls):
            self.tool_calls[0, index] = asked
            self._ready.append(Delta(tool_call=ToolCallDelta(index, asked.id, asked.name, asked.arguments)))
        self._ready.append(Delta(finish_reason=choice.finish_reason))
        self._total = self._work.total()
        self._total.finish_reason = choice.finish_reason
        self._over = True

    async def _run(self, result: ChatResult) -> None:
        ran = await self._work.run(result)
        if not self._left:
            self._ready.extend(Delta(tool_step=one.step) for one in ran)
            self._must_open = True

    async def _open(self) -> None:
        self._texts.clear()
        self._stream = await open_stream(self._work.principal, self._work.request, self._work.origin)
        if self._left:
            self._stream.leave()


def _forget(task: asyncio.Task[None]) -> None:
    _running.discard(task)
    if not task.cancelled():
        task.exception()  # the reader raises it; of one who left nobody asks
