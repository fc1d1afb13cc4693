"""An answer as a stream, in which nothing is shown that the check may yet take away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from uuid import UUID

from django_wp_ai.datatypes import Delta, Principal, ToolCall
from django_wp_ai.gateway.chat import open_stream
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.stream import DeltaStream
from django_wp_ai.rag.answer.ask import answer_of, keep
from django_wp_ai.rag.answer.checking import Checker
from django_wp_ai.rag.answer.preparing import Prepared, prepare
from django_wp_ai.rag.answer.question import Answer, Question, Source


async def open_answer(principal: Principal, question: Question, origin: Origin) -> AnswerStream:
    """Search, begin the model's stream and wait for its first delta: a refusal is raised here and keeps its status."""
    prepared = await prepare(principal, question, origin)
    if prepared.request is None:
        return AnswerStream(prepared, None)
    return AnswerStream(prepared, await open_stream(prepared.principal, prepared.request, prepared.origin))


class AnswerStream:
    """Deltas of checked text. What comes before the first citation that holds waits for it, or is never shown.

    ``answer`` is there once the deltas are over.
    """

    tool_calls: Mapping[tuple[int, int], ToolCall] = {}  # no tools are offered here

    def __init__(self, prepared: Prepared, inner: DeltaStream | None) -> None:
        self._prepared = prepared
        self._inner = inner
        self._checker = Checker(prepared.sources, site_host=prepared.site_host)
        self._waiting = ""
        self._shown: list[str] = []
        self._is_read = inner is None
        self.answer: Answer | None = None

    @property
    def call(self) -> Call | None:
        """The model's call, where a model is asked."""
        return self._inner.call if self._inner else None

    @property
    def sources(self) -> tuple[Source, ...]:
        """What the model was given."""
        return self._prepared.sources

    @property
    def trace_id(self) -> UUID:
        """What the search and the model's call have in common."""
        trace_id = self._prepared.origin.trace_id
        assert trace_id is not None  # what is prepared has one
        return trace_id

    @property
    def conversation_id(self) -> str:
        """The conversation that the answer goes into."""
        return self._prepared.history.conversation_id if self._prepared.history else ""

    async def next(self, *, timeout_s: float | None = None) -> Delta | None:
        """The next delta, None at the end; raises TimeoutError after silence and what broke the stream."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._is_read:
            assert self._inner is not None
            delta = await self._inner.next(timeout_s=None if until_s is None else max(0.0, until_s - time.monotonic()))
            if delta is None:
                self._is_read = True
                break
            if shown := self._pass(self._checker.feed(delta.text)):
                return Delta(text=shown)
        if self.answer is not None:
            return None
        return await self._end()

    def _pass(self, text: str) -> str:
        self._waiting += text
        if not self._checker.citations or not self._waiting:
            return ""
        shown, self._waiting = self._waiting, ""
        if not self._shown:
            shown = shown.lstrip()
        self._shown.append(shown)
        return shown

    async def _end(self) -> Delta | None:
        rest = self._pass(self._checker.finish())
        answer = answer_of(self._prepared, "".join(self._shown), self._checker.citations, call=self.call)
        await keep(self._prepared, answer)
        self.answer = answer
        rest = rest if answer.supported else answer.text
        return Delta(text=rest) if rest else None

    def leave(self) -> None:
        """The reader is gone (or done). May be called from any thread, and more than once."""
        if self._inner is not None:
            self._inner.leave()
