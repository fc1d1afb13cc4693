"""The native reply and stream. Source: PROTOCOL §3 and §4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django_wp_ai.api.errors import problem
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import Delta, ToolCall
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.stream import ChatStream

DONE = b"data: [DONE]\n\n"


def chat_id(call: Call) -> str:
    """The reply's id, which leads to the usage row."""
    return f"chat_{call.id.hex}"


def usage(call: Call) -> dict[str, Any]:
    """Tokens and cost in US dollars; null where the price is not known. The exact decimal is in the ledger."""
    used = call.usage
    return {
        "input_tokens": used.input_tokens,
        "output_tokens": used.output_tokens,
        "cached_input_tokens": used.cached_input_tokens,
        "reasoning_tokens": used.reasoning_tokens,
        "cost_usd": None if call.cost_usd is None else float(call.cost_usd),
        "estimated": used.estimated,
    }


def tool_calls(calls: Iterable[ToolCall]) -> list[dict[str, Any]]:
    """Tool calls in OpenAI's shape."""
    return [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in calls
    ]


def reply(completed: Completed) -> dict[str, Any]:
    """The whole answer."""
    call, choice = completed.call, completed.result.choices[0]
    body: dict[str, Any] = {
        "id": chat_id(call),
        "model": call.model,
        "provider": call.admitted.target.provider.name,
        "content": choice.text or choice.refusal or "",
        "finish_reason": choice.finish_reason,
        "cached": False,
        "usage": usage(call),
    }
    if choice.tool_calls:
        body["tool_calls"] = tool_calls(choice.tool_calls)
    return body


class NativeFraming:
    """``start``, unnamed deltas, ``done`` or ``error``, then ``[DONE]``."""

    def __init__(self, stream: ChatStream, request_id: str) -> None:
        self._stream = stream
        self._request_id = request_id

    def start(self) -> Iterable[bytes]:
        """Who answers."""
        call = self._stream.call
        yield event(
            {"id": chat_id(call), "model": call.model, "provider": call.admitted.target.provider.name}, name="start"
        )

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Text, or a piece of a tool call."""
        text = delta.text or delta.refusal
        if text:
            yield event({"delta": text})
        if delta.tool_call is not None:
            piece = delta.tool_call
            yield event(
                {
                    "delta": "",
                    "tool_call": {
                        "index": piece.index,
                        "id": piece.id,
                        "name": piece.name,
                        "arguments": piece.arguments,
                    },
                }
            )

    def end(self) -> Iterable[bytes]:
        """How it ended and what it cost."""
        call = self._stream.call
        body: dict[str, Any] = {"finish_reason": call.finish_reason, "usage": usage(call)}
        if self._stream.tool_calls:
            body["tool_calls"] = tool_calls(self._stream.tool_calls.values())
        yield event(body, name="done")
        yield DONE

    def error(self, error: ProviderError) -> Iterable[bytes]:
        """Problem details; what was used so far is in the ledger."""
        yield event(problem(error, self._request_id), name="error")
        yield DONE
