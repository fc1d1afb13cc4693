"""Anthropic's replies and events. Source: the Anthropic API reference, messages and streaming (2026)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django_wp_ai.api.errors import anthropic_error
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import Delta, ToolCall, Usage
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.stream import DeltaStream

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def message_id(call: Call) -> str:
    """The reply's id, which leads to the usage row."""
    return f"msg_{call.id.hex}"


def usage(used: Usage) -> dict[str, Any]:
    """Anthropic's usage object, whose ``input_tokens`` leaves out what the vendor's cache served or stored."""
    return {
        "input_tokens": max(0, used.input_tokens - used.cached_input_tokens - used.cache_write_tokens),
        "output_tokens": used.output_tokens,
        "cache_read_input_tokens": used.cached_input_tokens,
        "cache_creation_input_tokens": used.cache_write_tokens,
    }


def _message(call: Call, content: list[dict[str, Any]], stop_reason: str | None, used: Usage) -> dict[str, Any]:
    return {
        "id": message_id(call),
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage(used),
    }


def _tool_use(call: ToolCall) -> dict[str, Any]:
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call.arguments)}


def _arguments(text: str) -> dict[str, Any]:
    """A model's arguments as an object; what is no JSON object is handed on as text under ``input``."""
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {"input": text}
    return value if isinstance(value, dict) else {"input": value}


def reply(completed: Completed) -> dict[str, Any]:
    """The message object."""
    choice = completed.result.choices[0]
    text = choice.text or choice.refusal or ""
    content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
    content += [_tool_use(call) for call in choice.tool_calls]
    stop_reason = _STOP_REASONS.get(choice.finish_reason, "end_turn")
    return _message(completed.call, content, stop_reason, completed.call.usage)


class AnthropicFraming:
    """``message_start``, a block for each run of text or tool call, ``message_delta``, ``message_stop``."""

    def __init__(self, stream: DeltaStream, request_id: str) -> None:
        self._stream = stream
        self._request_id = request_id
        self._block = -1
        self._open: str | int | None = None  # "text", or the index of the tool call whose block is open

    def start(self) -> Iterable[bytes]:
        """The empty message; its input tokens are an estimate until ``message_delta``."""
        call = self._stream.call
        empty = _message(call, [], None, call.admitted.estimated())
        yield self._event("message_start", message=empty)

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Deltas of the open block; a new block where the kind changes."""
        text = delta.text or delta.refusal
        if text:
            if self._open != "text":
                yield from self._next_block("text", {"type": "text", "text": ""})
            yield self._block_delta({"type": "text_delta", "text": text})
        if delta.tool_call is not None:
            piece = delta.tool_call
            if self._open != piece.index:
                head = {"type": "tool_use", "id": piece.id, "name": piece.name, "input": {}}
                yield from self._next_block(piece.index, head)
            if piece.arguments:
                yield self._block_delta({"type": "input_json_delta", "partial_json": piece.arguments})

    def end(self) -> Iterable[bytes]:
        """The stop reason and the true usage."""
        yield from self._close_block()
        call = self._stream.call
        stop = {"stop_reason": _STOP_REASONS.get(call.finish_reason, "end_turn"), "stop_sequence": None}
        yield self._event("message_delta", delta=stop, usage=usage(call.usage))
        yield self._event("message_stop")

    def error(self, error: WpAiError) -> Iterable[bytes]:
        """The error event."""
        yield event(anthropic_error(error, self._request_id), name="error")

    def _next_block(self, kind: str | int, head: dict[str, Any]) -> Iterable[bytes]:
        yield from self._close_block()
        self._block += 1
        self._open = kind
        yield self._event("content_block_start", index=self._block, content_block=head)

    def _close_block(self) -> Iterable[bytes]:
        if self._open is not None:
            self._open = None
            yield self._event("content_block_stop", index=self._block)

    def _block_delta(self, delta: dict[str, Any]) -> bytes:
        return self._event("content_block_delta", index=self._block, delta=delta)

    @staticmethod
    def _event(name: str, **fields: Any) -> bytes:
        return event({"type": name, **fields}, name=name)
