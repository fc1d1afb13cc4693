"""A chat request in Anthropic's words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from django_wp_ai.datatypes import ChatRequest, ImagePart, Message, Tool
from django_wp_ai.exceptions import ProviderRefused

JSON_INSTRUCTION = "Answer with one JSON object and nothing else: no prose around it, no code fence."
EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_DATA_URL = re.compile(r"data:(image/(?:png|jpeg|gif|webp));base64,([A-Za-z0-9+/=\s]+)", re.IGNORECASE)


def system(request: ChatRequest) -> str:
    """The system messages, which have a place of their own, joined."""
    texts = [message.text for message in request.messages if message.role == "system"]
    if request.response_format and request.response_format.type == "json_object":
        texts.append(JSON_INSTRUCTION)
    return "\n\n".join(text for text in texts if text.strip())


def messages(request: ChatRequest) -> list[dict[str, Any]]:
    """The turns; neighbours of one role are one turn, as all results of parallel tool calls must be."""
    turns: list[dict[str, Any]] = []
    for message in request.messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _result(message) if message.role == "tool" else _blocks(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns:
        raise ProviderRefused("The provider needs at least one message that is not a system message and not empty.")
    last = turns[-1]
    if last["role"] == "assistant" and last["content"][-1]["type"] == "text":
        last["content"][-1]["text"] = last["content"][-1]["text"].rstrip()  # the vendor refuses blanks at the end
    return turns


def _blocks(message: Message) -> list[dict[str, Any]]:
    """Content blocks; blank texts are left out, because the vendor refuses them."""
    found: list[dict[str, Any]] = []
    for part in message.content:
        if isinstance(part, ImagePart):
            found.append(_image(part))
        elif part.text.strip():
            found.append({"type": "text", "text": part.text})
    found += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": _arguments(call.arguments)}
        for call in message.tool_calls
    ]
    return found


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ProviderRefused("The arguments of a tool call must be a JSON object.")
    return found


def _result(message: Message) -> list[dict[str, Any]]:
    block: dict[str, Any] = {"type": "tool_result", "tool_use_id": message.tool_call_id or ""}
    if content := _blocks(message):
        block["content"] = content
    if message.is_error:
        block["is_error"] = True
    return [block]


def _image(part: ImagePart) -> dict[str, Any]:
    if part.url.startswith(("https://", "http://")):
        return {"type": "image", "source": {"type": "url", "url": part.url}}
    match = _DATA_URL.fullmatch(part.url)
    if match is None:
        raise ProviderRefused("An image must be an https URL or a data: URL with a PNG, JPEG, GIF or WebP in base64.")
    source = {"type": "base64", "media_type": match[1].lower(), "data": match[2]}
    return {"type": "image", "source": source}


def tools(request: ChatRequest) -> dict[str, Any]:
    """``tools`` and ``tool_choice``; nothing without tools."""
    if not request.tools:
        return {}
    found: dict[str, Any] = {"tools": [_tool(tool) for tool in request.tools]}
    choice = request.tool_choice
    if choice is not None:
        kinds = {"auto": "auto", "none": "none", "required": "any", "function": "tool"}
        wished: dict[str, Any] = {"type": kinds[choice.type]}
        if choice.type == "function":
            wished["name"] = choice.name
        if choice.parallel is not None and choice.type != "none":
            wished["disable_parallel_tool_use"] = not choice.parallel
        found["tool_choice"] = wished
    return found


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", "properties": {}, **tool.parameters}
    found: dict[str, Any] = {"name": tool.name, "input_schema": closed(schema) if tool.strict else schema}
    if tool.description:
        found["description"] = tool.description
    if tool.strict:
        found["strict"] = True
    return found


def output_config(request: ChatRequest) -> dict[str, Any]:
    """``output_config`` with the schema of the answer and the effort."""
    found: dict[str, Any] = {}
    wished = request.response_format
    if wished is not None and wished.type == "json_schema":
        found["format"] = {"type": "json_schema", "schema": closed(wished.schema or {})}
    if request.reasoning_effort and request.reasoning_effort != "none":
        effort = EFFORTS.get(request.reasoning_effort)
        if effort is None:
            raise ProviderRefused(f"reasoning_effort must be one of none, {', '.join(EFFORTS)}.")
        found["effort"] = effort
    return {"output_config": found} if found else {}


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with every object closed to properties it doesn't name, which the vendor demands."""
    found = {key: _closed_below(key, value) for key, value in schema.items()}
    if found.get("type") == "object" or "properties" in found:
        found["additionalProperties"] = False
    return found


def _closed_below(keyword: str, value: Any) -> Any:
    """The value of a keyword with the schemas in it closed; values that are data (enum, default) are left alone."""
    if keyword in {"properties", "$defs", "definitions"} and isinstance(value, Mapping):
        return {name: closed(part) if isinstance(part, Mapping) else part for name, part in value.items()}
    if keyword in {"items", "additionalProperties"} and isinstance(value, Mapping):
        return closed(value)
    if keyword in {"anyOf", "oneOf", "allOf", "prefixItems"} and isinstance(value, list):
        return [closed(part) if isinstance(part, Mapping) else part for part in value]
    return value
