"""Anthropic's wire: messages (whole and SSE), models, errors, and the checks the vendor makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.vendor.answers import Answer, Conversation
from tests.vendor.openai import Refused

PARAMETERS = frozenset(
    re.findall(
        r"\w+",
        """
        max_tokens messages metadata model output_config service_tier stop_sequences stream system temperature thinking
        tool_choice tools top_k top_p
        """,
    )
)
#: These take no sampling parameters, as the vendor's newer models don't.
NO_SAMPLING = re.compile(r"claude-(opus-4-[78]|(opus|sonnet|haiku|fable|mythos)-5)")
EFFORTS = {"low", "medium", "high", "xhigh", "max", None}
ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> bytes:
    """An error body; the vendor has no codes or parameters in it."""
    kind = ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode()


def authenticate(headers: dict[str, str]) -> None:
    """``x-api-key``, or a bearer key as newer SDKs send it."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    key = headers.get("x-api-key") or (bearer if scheme == "Bearer" else "")
    if not key or key == "bad-key":
        raise Refused(401, "invalid x-api-key")
    if key == "forbidden-key":
        raise Refused(403, "Your API key does not have permission to use the specified resource.")
    if "anthropic-version" not in headers:
        raise Refused(400, "anthropic-version: header is required")


def read(body: dict[str, Any]) -> Conversation:
    """Check a messages request as the vendor does and read it; raises Refused."""
    unknown = sorted(set(body) - PARAMETERS)
    if unknown:
        raise Refused(400, f"{unknown[0]}: Extra inputs are not permitted")
    model, messages, limit = body.get("model"), body.get("messages"), body.get("max_tokens")
    if not isinstance(model, str) or not model:
        raise Refused(400, "model: Field required")
    if model == "no-such-model":
        raise Refused(404, f"model: {model}")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise Refused(400, "max_tokens: Field required")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages: at least one message is required")
    _check_parameters(body, model)
    found = Conversation(model, max_tokens=limit, stream=bool(body.get("stream")))
    found.stop = body.get("stop_sequences") or []
    system = body.get("system") or []
    found.texts += [system] if isinstance(system, str) else [block["text"] for block in system]
    _read_messages(found, messages)
    _read_tools(found, body)
    return found


def _check_parameters(body: dict[str, Any], model: str) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise Refused(400, f"{name}: Input should be less than or equal to 1")
        if name in body and NO_SAMPLING.match(model):
            raise Refused(400, f"`{name}` is deprecated for this model.")
    if any(not isinstance(stop, str) or not stop.strip() for stop in body.get("stop_sequences") or ()):
        raise Refused(400, "stop_sequences: each stop sequence must contain non-whitespace")
    config = body.get("output_config") or {}
    if set(config) - {"effort", "format"} or config.get("effort") not in EFFORTS:
        raise Refused(400, "output_config: invalid")
    form = config.get("format")
    if form is not None and (form.get("type") != "json_schema" or not _closed(form.get("schema"))):
        raise Refused(400, "output_config.format.schema: For 'object' type, 'additionalProperties' must be false")


def _closed(schema: Any) -> bool:
    """Whether every object of a schema is closed, which the vendor demands."""
    if isinstance(schema, list):
        return all(_closed(item) for item in schema)
    if not isinstance(schema, dict):
        return schema is not None
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return False
    return all(_closed(value) for value in schema.values() if isinstance(value, (dict, list)))


def _read_messages(found: Conversation, messages: list[Any]) -> None:
    open_calls: set[str] = set()
    for position, message in enumerate(messages):
        role = message.get("role")
        if role not in {"user", "assistant"}:
            raise Refused(400, f'messages: Unexpected role "{role}". The Messages API accepts a top-level `system`.')
        content = message.get("content")
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        if not isinstance(blocks, list) or not blocks:
            raise Refused(400, f"messages.{position}: all messages must have non-empty content")
        results = {block.get("tool_use_id") for block in blocks if block.get("type") == "tool_result"}
        if results != open_calls:
            raise Refused(400, f"messages.{position}: `tool_use` and `tool_result` blocks do not match")
        texts = [_read_block(found, role, block) for block in blocks]
        open_calls = {block["id"] for block in blocks if block.get("type") == "tool_use"}
        if role == "user":
            said = "".join(texts)
            found.last_user_text = said or found.last_user_text
            found.tool_result = " ".join(_result(block) for block in blocks if _is_result(block)) if results else None
            found.tool_rounds = found.tool_rounds + 1 if results else 0
    if open_calls:
        raise Refused(400, "messages: `tool_use` ids were found without `tool_result` blocks")


def _is_result(block: dict[str, Any]) -> bool:
    return block.get("type") == "tool_result"


def _result(block: dict[str, Any]) -> str:
    content = block.get("content", "")
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _read_block(found: Conversation, role: str, block: dict[str, Any]) -> str:
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str) and block["text"].strip():
        found.texts.append(block["text"])
        return str(block["text"])
    if kind == "image" and role == "user":
        source = block.get("source") or {}
        by_url = source.get("type") == "url" and re.match("https?://", source.get("url", ""))
        mime = source.get("media_type")
        embedded = source.get("type") == "base64" and mime in {"image/png", "image/jpeg", "image/gif", "image/webp"}
        if not by_url and not (embedded and source.get("data")):
            raise Refused(400, "messages.content.image.source: invalid")
        found.images += 1
    elif kind == "tool_result" and role == "user":
        found.texts.append(_result(block))
    elif not (kind == "tool_use" and role == "assistant" and isinstance(block.get("input"), dict)):
        raise Refused(400, f"messages.content: invalid block of type {kind!r}; text must be non-empty")
    return ""


def _read_tools(found: Conversation, body: dict[str, Any]) -> None:
    schemas = {}
    for tool in body.get("tools", ()):
        schema = tool.get("input_schema") or {}
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,128}", tool.get("name", "")) or schema.get("type") != "object":
            raise Refused(400, "tools: input_schema.type: Field required")
        schemas[tool["name"]] = schema
    found.tools = list(schemas)
    found.schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    choice = body.get("tool_choice")
    if choice is None:
        return
    if not found.tools:
        raise Refused(400, "tool_choice: tools must be specified")
    if choice.get("type") == "any":
        found.forced_tool = found.tools[0]
    elif choice.get("type") == "tool":
        found.forced_tool = choice.get("name")
        if found.forced_tool not in found.tools:
            raise Refused(400, "tool_choice: tool not found in provided tools")
    elif choice.get("type") == "none":
        found.tools = []
    elif choice.get("type") != "auto":
        raise Refused(400, "tool_choice: invalid type")
    if found.forced_tool:
        found.schema = schemas[found.forced_tool]


def _input_usage(answer: Answer) -> dict[str, int]:
    counts = answer.usage
    return {
        "input_tokens": counts["input"] - counts["cached"] - counts["cache_write"],
        "cache_creation_input_tokens": counts["cache_write"],
        "cache_read_input_tokens": counts["cached"],
    }


def _output_usage(answer: Answer) -> dict[str, Any]:
    counts = answer.usage
    return {
        "output_tokens": counts["output"],
        "output_tokens_details": {"thinking_tokens": counts["reasoning"]},
    }


def _stop(answer: Answer) -> dict[str, Any]:
    reason = "refusal" if answer.refusal else STOP_REASONS.get(answer.finish, answer.finish)
    if answer.stop_sequence is not None:
        reason = "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": answer.stop_sequence}


def whole(conversation: Conversation, answer: Answer) -> bytes:
    """A whole message."""
    content: list[dict[str, Any]] = [{"type": "text", "text": answer.text}] if answer.text else []
    content += [
        {"type": "tool_use", "id": key, "name": name, "input": json.loads(arguments)}
        for key, name, arguments in answer.tool_calls
    ]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": conversation.model, "content": content}
    return json.dumps(message | _stop(answer) | {"usage": _input_usage(answer) | _output_usage(answer)}).encode()


def events(conversation: Conversation, answer: Answer, body: dict[str, Any]) -> Iterator[tuple[bytes, bool]]:
    """The events of a stream, each with whether it is a delta that ``hold``, ``pause`` and the cuts count."""
    message: dict[str, Any] = {"id": "msg_1", "type": "message", "role": "assistant", "model": conversation.model}
    message |= {"content": [], "stop_reason": None, "stop_sequence": None}
    message |= {"usage": _input_usage(answer) | {"output_tokens": 1}}
    yield event("message_start", {"message": message}), False
    yield event("ping", {}), False
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.pieces:
        deltas = [{"type": "text_delta", "text": piece} for piece in answer.pieces]
        blocks.append(({"type": "text", "text": ""}, deltas))
    for key, name, arguments in answer.tool_calls:
        pieces = ["", *re.findall(r".{1,8}", arguments, re.DOTALL)]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        blocks.append(({"type": "tool_use", "id": key, "name": name, "input": {}}, deltas))
    for index, (block, deltas) in enumerate(blocks):
        yield event("content_block_start", {"index": index, "content_block": block}), False
        for delta in deltas:
            yield event("content_block_delta", {"index": index, "delta": delta}), True
        yield event("content_block_stop", {"index": index}), False
    yield event("message_delta", {"delta": _stop(answer), "usage": _output_usage(answer)}), False
    yield event("message_stop", {}), False


def event(name: str, data: dict[str, Any]) -> bytes:
    """One event."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name} | data).encode())


def is_usage(data: bytes) -> bool:
    """No event exists for its usage only: this vendor always reports."""
    return False


def stream_error() -> bytes:
    """An error inside a stream."""
    return b"event: error\ndata: %b\n\n" % error(529, "Overloaded")


def models() -> bytes:
    """The list of models."""
    names = ("claude-sonnet-4-6", "claude-haiku-4-5")
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names]
    return json.dumps({"data": data, "has_more": False, "first_id": names[0], "last_id": names[-1]}).encode()
