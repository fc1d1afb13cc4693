"""Where a call enters the books and leaves them: one hop each way, shared with other calls of its tenant."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from django_wp_ai.bridge import in_thread
from django_wp_ai.company import in_company
from django_wp_ai.datatypes import ChatResult, Usage
from django_wp_ai.gateway import answer_cache, attempts, conversations, ledger
from django_wp_ai.gateway.admission import Admitted
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.together import Steps

logger = logging.getLogger("django_wp_ai.gateway")


@dataclass(frozen=True, slots=True)
class Entered:
    """An open call, or one that is settled already because ``kept`` answers it."""

    call: ledger.Call
    kept: ChatResult | None = None


async def enter(admitted: Admitted, *, streamed: bool) -> Entered:
    """Look for a kept answer; without one take the rates, reserve the money and write the row. Raises refusals."""
    if answer_cache.wanted(admitted):
        hit = await in_thread(_hit, admitted, streamed=streamed)
        if hit is not None:
            return hit
    return Entered(await in_company(_line(admitted, "enter"), _opening(admitted, admitted.origin, streamed=streamed)))


async def open_call(admitted: ledger.Metered, origin: Origin) -> ledger.Call:
    """As ``enter`` for a call that no kept answer answers, such as an embedding."""
    return await in_company(_line(admitted, "enter"), _opening(admitted, origin, streamed=False))


def _line(call: ledger.Metered, step: str) -> tuple[int, str]:
    """Calls of one tenant change the same counters, so they queue anyway; those of others don't wait for them.

    Who enters and who leaves ask different questions, and neither waits for the other's round trips.
    """
    return (call.principal.tenant.pk, step)


def _hit(admitted: Admitted, *, streamed: bool) -> Entered | None:
    kept = answer_cache.get(admitted)
    if kept is None:
        return None
    call = ledger.record_hit(admitted, admitted.origin, kept, streamed=streamed)
    _append_to_conversation(call, kept)
    return Entered(call, kept)


def _opening(admitted: ledger.Metered, origin: Origin, *, streamed: bool) -> Steps[ledger.Call]:
    attempts.require_way(admitted.targets)
    return (yield from ledger.opening_call(admitted, origin, streamed=streamed))


async def close(call: ledger.Call, result: ChatResult) -> None:
    """Settle, keep the answer for the next who asks the same, add it to the conversation. Raises nothing."""
    call.finish_reason = result.choices[0].finish_reason if result.choices else ""
    call.model = result.model or call.target.model
    await settle(call, result.usage)
    admitted: Admitted = call.admitted
    if admitted.history is not None or answer_cache.wanted(admitted):
        await in_thread(_keep, call, result)


async def settle(call: ledger.Call, usage: Usage) -> None:
    """Settle an answered call. Raises nothing: what is not written must not take the answer away."""
    try:
        await in_company(_line(call.admitted, "settle"), ledger.settling(call, usage))
    except Exception:
        logger.exception("call %s could not be settled; its row stays pending", call.id)


def _keep(call: ledger.Call, result: ChatResult) -> None:
    if answer_cache.wanted(call.admitted):
        answer_cache.put(call.admitted, result)
    _append_to_conversation(call, result)


def _append_to_conversation(call: ledger.Call, result: ChatResult) -> None:
    """An answer that calls this side's own tools is a step on the way; the last one takes all steps along."""
    admitted: Admitted = call.admitted
    if admitted.history is None or not result.choices:
        return
    if any(asked.name in admitted.request.server_tools for asked in result.choices[0].tool_calls):
        return
    choice = result.choices[0]
    theirs = tuple(asked for asked in choice.tool_calls if asked.name not in admitted.request.server_tools)
    if choice.tool_calls and not theirs:
        return  # a step of the host's own tools: the answer comes later
    try:
        conversations.append(admitted.history, admitted.turns, replace(choice, tool_calls=theirs), vault=admitted.vault)
    except Exception:
        logger.exception("call %s could not be added to its conversation", call.id)
