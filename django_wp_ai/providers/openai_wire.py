"""A chat request in OpenAI's words, and its answers read."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Mapping
from typing import Any

from django_wp_ai.datatypes import (
    ChatRequest,
    Choice,
    Delta,
    FinishReason,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolCallDelta,
    Usage,
)
from django_wp_ai.exceptions import ProviderRefused
from django_wp_ai.providers.base import Moderation

FINISH_REASONS: Mapping[str | None, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}
#: OpenAI refuses json_object unless a message says "json".
JSON_INSTRUCTION = "Answer with one JSON object."


def messages(request: ChatRequest) -> list[dict[str, Any]]:
    """The conversation."""
    found = [_message(message) for message in request.messages]
    wished = request.response_format
    if wished and wished.type == "json_object" and not any("json" in m.text.lower() for m in request.messages):
        found.insert(0, {"role": "system", "content": JSON_INSTRUCTION})
    return found


def _message(message: Message) -> dict[str, Any]:
    if message.role == "tool":
        text = f"Error: {message.text}" if message.is_error else message.text
        if any(isinstance(part, ImagePart) for part in message.content):
            raise ProviderRefused("This provider takes no images in tool results.")
        return {"role": "tool", "tool_call_id": message.tool_call_id or "", "content": text}
    found: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.name:
        found["name"] = message.name
    if message.tool_calls:
        found["content"] = found["content"] or None
        found["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    return found


def _content(message: Message) -> str | list[dict[str, Any]]:
    """A plain string where there is only text (every compatible server knows it), else parts."""
    if all(isinstance(part, TextPart) for part in message.content):
        return message.text
    return [
        {"type": "text", "text": part.text}
        if isinstance(part, TextPart)
        else {"type": "image_url", "image_url": {"url": part.url, "detail": part.detail}}
        for part in message.content
    ]


def tools(request: ChatRequest) -> dict[str, Any]:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``; nothing without tools."""
    if not request.tools:
        return {}
    found: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = request.tool_choice
    if choice is not None:
        by_name = {"type": "function", "function": {"name": choice.name}}
        found["tool_choice"] = by_name if choice.type == "function" else choice.type
        if choice.parallel is not None:
            found["parallel_tool_calls"] = choice.parallel
    return found


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {
        "name": tool.name,
        "parameters": {"type": "object", "properties": {}, **tool.parameters},
    }
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def response_format(wished: ResponseFormat | None) -> dict[str, Any]:
    """``response_format``, with the wrapper that OpenAI wants around a schema."""
    if wished is None or wished.type == "text":
        return {}
    if wished.type == "json_object":
        return {"response_format": {"type": "json_object"}}
    wrapper: dict[str, Any] = {
        "name": re.sub(r"[^a-zA-Z0-9_-]", "_", wished.name)[:64] or "response",
        "schema": dict(wished.schema or {}),
    }
    if wished.strict is not None:
        wrapper["strict"] = wished.strict
    return {"response_format": {"type": "json_schema", "json_schema": wrapper}}


def choice(found: Any) -> Choice:
    """A finished candidate; raises LookupError, AttributeError or TypeError for what is none."""
    message = found["message"]
    calls = tuple(
        ToolCall(call.get("id") or f"call_{position}", call["function"]["name"], _text(call["function"]["arguments"]))
        for position, call in enumerate(message.get("tool_calls") or ())
        if call.get("type", "function") == "function"
    )
    refusal = _text(message.get("refusal")) or None
    return Choice(_text(message.get("content")), _finish(found.get("finish_reason")), calls, refusal)


def deltas(chunk: Any) -> list[Delta]:
    """What a chunk adds, an empty one nothing; raises as ``choice`` does for what is no chunk."""
    found = []
    model = chunk.get("model") or ""
    for candidate in chunk["choices"]:
        index, delta = candidate["index"], candidate.get("delta") or {}
        text, refusal = _text(delta.get("content")), _text(delta.get("refusal"))
        if text or refusal:
            found.append(Delta(text=text, choice=index, refusal=refusal, model=model))
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            name, arguments = _text(function.get("name")), _text(function.get("arguments"))
            piece = ToolCallDelta(call["index"], _text(call.get("id")), name, arguments)
            found.append(Delta(choice=index, tool_call=piece, model=model))
        if candidate.get("finish_reason"):
            found.append(Delta(choice=index, finish_reason=_finish(candidate["finish_reason"]), model=model))
    return found


def usage(reported: Mapping[str, Any]) -> Usage:
    """Normalised usage; the vendor's totals already include cached and reasoning tokens."""
    read, written = reported.get("prompt_tokens_details") or {}, reported.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=reported["prompt_tokens"],
        output_tokens=reported["completion_tokens"],
        cached_input_tokens=read.get("cached_tokens") or 0,
        cache_write_tokens=read.get("cache_write_tokens") or 0,
        reasoning_tokens=written.get("reasoning_tokens") or 0,
    )


def vectors(answer: Any, *, count: int) -> tuple[tuple[float, ...], ...]:
    """A vector for each of ``count`` texts, in their order; raises as ``choice`` does, ValueError when some lack."""
    rows = sorted(answer["data"], key=lambda row: row["index"])
    if [row["index"] for row in rows] != list(range(count)):
        raise ValueError("not a vector for each text")
    return tuple(_vector(row["embedding"]) for row in rows)


def _vector(found: Any) -> tuple[float, ...]:
    """Numbers, or their bytes in base64 (32 bits each, the low byte first); compatible servers send what they like."""
    if isinstance(found, str):
        packed = base64.b64decode(found, validate=True)
        return struct.unpack(f"<{len(packed) // 4}f", packed[: len(packed) // 4 * 4])
    return tuple(float(value) for value in found)


def moderations(answer: Any, *, count: int) -> list[Moderation]:
    """A judgement for each of ``count`` texts; raises as ``choice`` does, and ValueError for another number."""
    found = [
        Moderation(bool(result["flagged"]), tuple(sorted(name for name, hit in result["categories"].items() if hit)))
        for result in answer["results"]
    ]
    if len(found) != count:
        raise ValueError("not a judgement for each text")
    return found


def _text(value: Any) -> str:
    """A text, empty for None; raises TypeError for anything else, which only a server that is no OpenAI sends."""
    if value is not None and not isinstance(value, str):
        raise TypeError("not a text")
    return value or ""


def _finish(reason: str | None) -> FinishReason:
    """Our word for a vendor's; compatible servers invent some, which mean a natural end."""
    return FINISH_REASONS.get(reason, "stop")
