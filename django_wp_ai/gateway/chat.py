"""Chat, whole or streamed: the street from admission to the ledger."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

from django_wp_ai.datatypes import ChatRequest, ChatResult, Principal, ToolStep
from django_wp_ai.gateway import asking, entry, ledger
from django_wp_ai.gateway.admission import Admitted, admit
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.restoring import restored
from django_wp_ai.gateway.routing import Target
from django_wp_ai.gateway.stream import ChatStream
from django_wp_ai.gateway.waiting import covered


@dataclass(frozen=True, slots=True)
class Completed:
    """An answered call: what the provider or the cache gave, with personal data put back, and the settled call."""

    call: ledger.Call
    result: ChatResult
    trace: tuple[ToolStep, ...] = ()  # what the host's own tools did on the way


async def complete(principal: Principal, request: ChatRequest, origin: Origin) -> Completed:
    """Answer whole. A caller that leaves meanwhile leaves a settled row: the call goes on without it."""
    return await asyncio.shield(asking.keep(_answer(await admit(principal, request, origin))))


async def open_stream(principal: Principal, request: ChatRequest, origin: Origin) -> ChatStream:
    """Begin a stream and wait for its first delta, so that a refusal is raised here and keeps its status."""
    stream = ChatStream(await admit(principal, request, origin))
    asking.keep(stream.pump())
    try:
        await stream.first()
    except BaseException:
        stream.leave()
        raise
    return stream


async def _answer(admitted: Admitted) -> Completed:
    entered = await covered(admitted.principal.tenant, partial(entry.enter, admitted, streamed=False))
    call, result = entered.call, entered.kept
    if result is None:
        result = await _ask(call)
        await entry.close(call, result)
    return Completed(call, restored(admitted.vault, result))


async def _ask(call: ledger.Call) -> ChatResult:
    async def send(target: Target) -> ChatResult:
        return await target.provider.chat(call.admitted.request, model=target.model)

    return await asking.ask(call, send)
