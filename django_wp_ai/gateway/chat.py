"""Chat, whole or streamed: the street from admission to the ledger."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, ChatResult, Principal, Usage
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.admission import Admitted, admit
from django_wp_ai.gateway.stream import ChatStream

logger = logging.getLogger("django_wp_ai.gateway")

T = TypeVar("T")

_unfinished: set[asyncio.Task[Any]] = set()


@dataclass(frozen=True, slots=True)
class Completed:
    """An answered call: the provider's result and the settled call."""

    call: ledger.Call
    result: ChatResult


async def complete(principal: Principal, request: ChatRequest, origin: ledger.Origin) -> Completed:
    """Answer whole. A caller that leaves meanwhile leaves a settled row: the call goes on without it."""
    return await asyncio.shield(_keep(_answer(admit(principal, request), origin)))


async def open_stream(principal: Principal, request: ChatRequest, origin: ledger.Origin) -> ChatStream:
    """Begin a stream and wait for its first delta, so that a refusal is raised here and keeps its status."""
    stream = ChatStream(admit(principal, request), origin)
    _keep(stream.pump())
    try:
        await stream.first()
    except BaseException:
        stream.leave()
        raise
    return stream


def _keep(flow: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that nobody's cancellation reaches; held until it ends, as the loop itself holds tasks only weakly."""
    task = asyncio.get_running_loop().create_task(flow)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    return task


async def _answer(admitted: Admitted, origin: ledger.Origin) -> Completed:
    call = await in_thread(ledger.open_call, admitted, origin, streamed=False)
    target = call.admitted.target
    try:
        result = await _ask(call)
    except ProviderError as error:
        usage = ledger.worst_case(call) if error.charged else Usage()
        await in_thread(ledger.settle, call, usage, error=error)
        error.fields.update(ledger.limit_fields(call))
        raise
    except BaseException:
        await in_thread(ledger.settle, call, ledger.worst_case(call), error_code="aborted")
        raise
    call.finish_reason = result.choices[0].finish_reason if result.choices else ""
    call.model = result.model or target.model
    try:
        await in_thread(ledger.settle, call, result.usage)
    except Exception:
        logger.exception("call %s could not be settled; its row stays pending", call.id)
    return Completed(call, result)


async def _ask(call: ledger.Call) -> ChatResult:
    """The provider's answer; what a provider must not raise is the provider's failure too."""
    admitted = call.admitted
    try:
        return await admitted.target.provider.chat(admitted.request, model=admitted.target.model)
    except ProviderError:
        raise
    except Exception as error:
        logger.exception("call %s broke", call.id)
        raise ProviderError(charged=True) from error
