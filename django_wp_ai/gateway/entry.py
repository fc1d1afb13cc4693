"""Where a call enters the books and leaves them: blocking, one hop each way."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from django_wp_ai.datatypes import ChatResult, Usage
from django_wp_ai.gateway import answer_cache, attempts, conversations, ledger
from django_wp_ai.gateway.admission import Admitted

logger = logging.getLogger("django_wp_ai.gateway")


@dataclass(frozen=True, slots=True)
class Entered:
    """An open call, or one that is settled already because ``kept`` answers it."""

    call: ledger.Call
    kept: ChatResult | None = None


def enter(admitted: Admitted, *, streamed: bool) -> Entered:
    """Look for a kept answer; without one take the rates, reserve the money and write the row. Raises refusals."""
    if answer_cache.wanted(admitted):
        kept = answer_cache.get(admitted)
        if kept is not None:
            call = ledger.record_hit(admitted, admitted.origin, kept, streamed=streamed)
            _append_to_conversation(call, kept)
            return Entered(call, kept)
    attempts.require_way(admitted.targets)
    return Entered(ledger.open_call(admitted, admitted.origin, streamed=streamed))


def close(call: ledger.Call, result: ChatResult) -> None:
    """Settle, keep the answer for the next who asks the same, add it to the conversation. Raises nothing."""
    call.finish_reason = result.choices[0].finish_reason if result.choices else ""
    call.model = result.model or call.target.model
    settle(call, result.usage)
    if answer_cache.wanted(call.admitted):
        answer_cache.put(call.admitted, result)
    _append_to_conversation(call, result)


def settle(call: ledger.Call, usage: Usage) -> None:
    """Settle an answered call. Raises nothing: what is not written must not take the answer away."""
    try:
        ledger.settle(call, usage)
    except Exception:
        logger.exception("call %s could not be settled; its row stays pending", call.id)


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
