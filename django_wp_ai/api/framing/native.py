"""The native reply and stream. Source: PROTOCOL §3 and §4."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django_wp_ai.api.errors import problem
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import Delta, Message, TextPart, ToolCall, ToolStep
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.preview import Candidate, Preview
from django_wp_ai.gateway.stream import DeltaStream

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


def extras(call: Call) -> dict[str, Any]:
    """What only some replies tell: the conversation they belong to, the parameters that were clamped."""
    admitted = call.admitted
    told: dict[str, Any] = {}
    if admitted.history is not None:
        told["conversation_id"] = admitted.history.conversation_id
    if admitted.clamped:
        told["clamped"] = admitted.clamped
    return told


def dry_run(preview: Preview) -> dict[str, Any]:
    """What would be sent, to whom, and what it may cost at most (US dollars; null where no price is known)."""
    admitted, request = preview.admitted, preview.admitted.request
    first = preview.candidates[0]
    return {
        "dry_run": True,
        "model": first.target.model,
        "provider": first.target.provider.name,
        "candidates": [
            {
                "provider": candidate.target.provider.name,
                "model": candidate.target.model,
                "max_cost_usd": _usd(candidate),
            }
            for candidate in preview.candidates
        ],
        "messages": [
            {"role": message.role, "content": message.text, "images": len(message.content) - _texts(message)}
            for message in request.messages
        ],
        "temperature": request.temperature,
        "max_tokens": request.max_tokens,
        "clamped": admitted.clamped,
        "usage": {
            "input_tokens": preview.largest.input_tokens,
            "max_output_tokens": preview.largest.output_tokens,
            "max_cost_usd": _usd(first),
            "estimated": True,
        },
    }


def _usd(candidate: Candidate) -> float | None:
    return None if candidate.largest_usd is None else float(candidate.largest_usd)


def _texts(message: Message) -> int:
    return sum(isinstance(part, TextPart) for part in message.content)


def reply(completed: Completed) -> dict[str, Any]:
    """The whole answer."""
    call, choice = completed.call, completed.result.choices[0]
    body: dict[str, Any] = {
        "id": chat_id(call),
        "model": call.model,
        "provider": call.target.provider.name,
        "content": choice.text or choice.refusal or "",
        "finish_reason": choice.finish_reason,
        "cached": call.cached,
        "usage": usage(call),
        **extras(call),
    }
    if choice.tool_calls:
        body["tool_calls"] = tool_calls(choice.tool_calls)
    if completed.trace:
        body["trace"] = [step_of(step) for step in completed.trace]
    return body


def step_of(step: ToolStep) -> dict[str, Any]:
    """What became of a call of the host's tools; ``error`` is there where it failed."""
    told: dict[str, Any] = {"step": step.step, "tool": step.tool, "ok": step.ok, "ms": step.elapsed_ms}
    return told | {"error": step.error} if step.error else told


class NativeFraming:
    """``start``, unnamed deltas, ``done`` or ``error``, then ``[DONE]``."""

    def __init__(self, stream: DeltaStream, request_id: str) -> None:
        self._stream = stream
        self._request_id = request_id

    def start(self) -> Iterable[bytes]:
        """Who answers."""
        call = self._stream.call
        about = {"id": chat_id(call), "model": call.model, "provider": call.target.provider.name, **extras(call)}
        yield event(about, name="start")

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Text, or a piece of a tool call."""
        text = delta.text or delta.refusal
        if delta.tool_step is not None:
            step = delta.tool_step
            yield event({"step": step.step, "name": step.tool, "ok": step.ok}, name="tool")
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
        body: dict[str, Any] = {"finish_reason": call.finish_reason, "cached": call.cached, "usage": usage(call)}
        if self._stream.tool_calls:
            body["tool_calls"] = tool_calls(self._stream.tool_calls.values())
        yield event(body, name="done")
        yield DONE

    def error(self, error: WpAiError) -> Iterable[bytes]:
        """Problem details; what was used so far is in the ledger."""
        yield event(problem(error, self._request_id), name="error")
        yield DONE
