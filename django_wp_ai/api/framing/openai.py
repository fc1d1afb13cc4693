"""OpenAI's replies and chunks. Source: the OpenAI API reference, chat completion and chunk objects (2026)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django_wp_ai.api.errors import openai_error
from django_wp_ai.api.framing.native import DONE, tool_calls
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import Choice, Delta, Usage
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.stream import DeltaStream


def completion_id(call: Call) -> str:
    """The reply's id, which leads to the usage row."""
    return f"chatcmpl-{call.id.hex}"


def usage(used: Usage) -> dict[str, Any]:
    """OpenAI's usage object."""
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.input_tokens + used.output_tokens,
        "prompt_tokens_details": {"cached_tokens": used.cached_input_tokens},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def _choice(index: int, choice: Choice) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": choice.text if choice.text or not (choice.tool_calls or choice.refusal) else None,
        "refusal": choice.refusal,
    }
    if choice.tool_calls:
        message["tool_calls"] = tool_calls(choice.tool_calls)
    return {"index": index, "message": message, "logprobs": None, "finish_reason": choice.finish_reason}


def reply(completed: Completed) -> dict[str, Any]:
    """The chat completion object."""
    return {
        "id": completion_id(completed.call),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": completed.call.model,
        "choices": [_choice(index, choice) for index, choice in enumerate(completed.result.choices)],
        "usage": usage(completed.call.usage),
    }


class OpenAIFraming:
    """Chunks as OpenAI sends them: a role, deltas, a finish reason for each choice, usage if asked, ``[DONE]``."""

    def __init__(self, stream: DeltaStream, *, include_usage: bool) -> None:
        self._stream = stream
        self._include_usage = include_usage
        self._created = int(time.time())
        self._begun: set[int] = set()

    def start(self) -> Iterable[bytes]:
        """Nothing: each choice begins with its first delta."""
        return ()

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """One chunk for each thing the delta carries."""
        if delta.choice not in self._begun:
            self._begun.add(delta.choice)
            yield self._chunk(delta.choice, {"role": "assistant", "content": "", "refusal": None})
        if delta.text:
            yield self._chunk(delta.choice, {"content": delta.text})
        if delta.refusal:
            yield self._chunk(delta.choice, {"refusal": delta.refusal})
        if delta.tool_call is not None:
            yield self._chunk(delta.choice, {"tool_calls": [self._tool_call(delta)]})
        if delta.finish_reason is not None:
            yield self._chunk(delta.choice, {}, finish_reason=delta.finish_reason)

    @staticmethod
    def _tool_call(delta: Delta) -> dict[str, Any]:
        piece = delta.tool_call
        assert piece is not None
        function: dict[str, Any] = {"arguments": piece.arguments}
        if not piece.id and not piece.name:
            return {"index": piece.index, "function": function}
        return {"index": piece.index, "id": piece.id, "type": "function", "function": {"name": piece.name, **function}}

    def end(self) -> Iterable[bytes]:
        """The usage chunk where it was asked for."""
        if self._include_usage:
            yield event({**self._head(), "choices": [], "usage": usage(self._stream.call.usage)})
        yield DONE

    def error(self, error: WpAiError) -> Iterable[bytes]:
        """The error object; the SDK raises on it."""
        yield event(openai_error(error))

    def _chunk(self, index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        body: dict[str, Any] = {**self._head(), "choices": [choice]}
        if self._include_usage:
            body["usage"] = None
        return event(body)

    def _head(self) -> dict[str, Any]:
        call = self._stream.call
        return {
            "id": completion_id(call),
            "object": "chat.completion.chunk",
            "created": self._created,
            "model": call.model,
        }
