"""OpenAI's wire: chat completions (whole and SSE), embeddings, models, errors, and the checks the vendor makes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.vendor.answers import Answer, Conversation

PARAMETERS = frozenset(
    re.findall(
        r"\w+",
        """
        frequency_penalty logit_bias logprobs max_completion_tokens max_tokens messages metadata model n
        parallel_tool_calls presence_penalty reasoning_effort response_format safety_identifier seed service_tier stop
        store stream stream_options temperature tool_choice tools top_logprobs top_p user verbosity
        """,
    )
)
REASONING_MODELS = re.compile(r"^(o\d|gpt-5)")


class Refused(Exception):
    """The vendor's refusal of a request."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param


def error(status: int, message: str, *, code: str | None = None, param: str | None = None) -> bytes:
    """An error body."""
    kind = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )
    return json.dumps({"error": {"message": message, "type": kind, "param": param, "code": code}}).encode()


def authenticate(headers: dict[str, str]) -> None:
    """A bearer key, or Azure's ``api-key``."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    key = key if scheme == "Bearer" else headers.get("api-key", "")
    if not key:
        raise Refused(401, "You didn't provide an API key.")
    if key == "bad-key":
        raise Refused(401, "Incorrect API key provided: bad-key.", code="invalid_api_key")
    if key == "forbidden-key":
        raise Refused(403, "Country, region, or territory not supported", code="unsupported_country")


def read(body: dict[str, Any]) -> Conversation:
    """Check a chat request as the vendor does and read it; raises Refused."""
    unknown = sorted(set(body) - PARAMETERS)
    if unknown:
        raise Refused(400, f"Unrecognized request argument supplied: {unknown[0]}", param=unknown[0])
    model, messages = body.get("model"), body.get("messages")
    if not isinstance(model, str) or not model:
        raise Refused(400, "you must provide a model parameter", param="model")
    if model == "no-such-model":
        raise Refused(404, f"The model `{model}` does not exist", code="model_not_found")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "Invalid 'messages': empty array.", param="messages")
    _check_parameters(body, model)
    found = Conversation(model, n=body.get("n", 1), stream=bool(body.get("stream")))
    found.max_tokens = body.get("max_tokens") or body.get("max_completion_tokens")
    stop = body.get("stop") or []
    found.stop = [stop] if isinstance(stop, str) else stop
    _read_messages(found, messages)
    _read_tools(found, body)
    _read_format(found, body)
    return found


def _check_parameters(body: dict[str, Any], model: str) -> None:
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("n", 1, 128)):
        value = body.get(name, low)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise Refused(400, f"Invalid '{name}'.", param=name)
    if "max_tokens" in body and "max_completion_tokens" in body:
        raise Refused(400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
    if REASONING_MODELS.match(model) and "max_tokens" in body:
        raise Refused(400, "Unsupported parameter: 'max_tokens'.", code="unsupported_parameter", param="max_tokens")
    if "stream_options" in body and not body.get("stream"):
        raise Refused(400, "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
    if isinstance(body.get("stop"), list) and len(body["stop"]) > 4:
        raise Refused(400, "Invalid 'stop': array too long.", param="stop")


def _read_messages(found: Conversation, messages: list[Any]) -> None:
    open_calls: list[str] = []
    for message in messages:
        role = message.get("role")
        if role not in {"developer", "system", "user", "assistant", "tool"}:
            raise Refused(400, f"Invalid value: '{role}'.", param="messages")
        if role == "tool":
            if message.get("tool_call_id") not in open_calls:
                raise Refused(400, "messages with role 'tool' must answer a preceding 'tool_calls'.", param="messages")
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            raise Refused(400, "An assistant message with 'tool_calls' must be followed by tool messages.")
        text = _read_content(found, message)
        if role == "user":
            found.last_user_text = text or found.last_user_text
            found.tool_result, found.tool_rounds = None, 0
        elif role == "tool":
            found.tool_result = f"{found.tool_result} {text}" if found.tool_result else text
        elif role == "assistant":
            open_calls = [call["id"] for call in message.get("tool_calls") or ()]
            found.tool_rounds += bool(open_calls)
    if open_calls:
        raise Refused(400, f"No tool output found for {open_calls[0]}.", param="messages")


def _read_content(found: Conversation, message: dict[str, Any]) -> str:
    content = message.get("content")
    if content is None and message["role"] == "assistant" and message.get("tool_calls"):
        return ""
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    if not isinstance(parts, list) or not parts:
        raise Refused(400, "Invalid value for 'content': expected a string, got null.", param="messages")
    texts = []
    for part in parts:
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "image_url" and message["role"] == "user":
            url = (part.get("image_url") or {}).get("url", "")
            if not re.match(r"https?://|data:image/(png|jpeg|gif|webp);base64,.", url):
                raise Refused(400, "Invalid image data.", code="invalid_image_url")
            found.images += 1
        else:
            raise Refused(400, f"Invalid content part '{part.get('type')}'.", param="messages")
    found.texts += texts
    return "".join(texts)


def _read_tools(found: Conversation, body: dict[str, Any]) -> None:
    for tool in body.get("tools", ()):
        function = tool.get("function") or {}
        if tool.get("type") != "function" or not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", function.get("name", "")):
            raise Refused(400, "Invalid 'tools'.", param="tools")
        if "parameters" in function and function["parameters"].get("type") != "object":
            raise Refused(400, "Invalid schema for function.", code="invalid_function_parameters")
        found.tools.append(function["name"])
    if not found.tools and ("tool_choice" in body or "parallel_tool_calls" in body):
        raise Refused(400, "'tool_choice' is only allowed when 'tools' are specified.", param="tool_choice")
    choice = body.get("tool_choice", "auto")
    if choice == "none":
        found.tools = []
    elif choice == "required":
        found.forced_tool = found.tools[0]
    elif isinstance(choice, dict):
        found.forced_tool = (choice.get("function") or {}).get("name")
        if choice.get("type") != "function" or found.forced_tool not in found.tools:
            raise Refused(400, "Tool choice not found in 'tools'.", param="tool_choice")
    elif choice != "auto":
        raise Refused(400, f"Invalid value: '{choice}'.", param="tool_choice")


def _read_format(found: Conversation, body: dict[str, Any]) -> None:
    wished = body.get("response_format") or {"type": "text"}
    if wished.get("type") == "json_object":
        if not any("json" in text.lower() for text in found.texts):
            raise Refused(400, "'messages' must contain the word 'json' in some form.", param="messages")
        found.schema = {"type": "object", "properties": {"answer": {"type": "string"}}}
    elif wished.get("type") == "json_schema":
        wrapper = wished.get("json_schema") or {}
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", wrapper.get("name", "")):
            raise Refused(400, "Missing required parameter: 'response_format.json_schema.name'.")
        found.schema = wrapper.get("schema")
        if not isinstance(found.schema, dict):
            raise Refused(400, "Missing required parameter: 'response_format.json_schema.schema'.")
        if wrapper.get("strict") and found.schema.get("additionalProperties") is not False:
            raise Refused(400, "'additionalProperties' is required to be supplied and to be false.")
    elif wished.get("type") != "text":
        raise Refused(400, f"Invalid value: '{wished.get('type')}'.", param="response_format.type")


def _usage(answer: Answer) -> dict[str, Any]:
    counts = answer.usage
    return {
        "prompt_tokens": counts["input"],
        "completion_tokens": counts["output"],
        "total_tokens": counts["input"] + counts["output"],
        "prompt_tokens_details": {"cached_tokens": counts["cached"], "cache_write_tokens": counts["cache_write"]},
        "completion_tokens_details": {"reasoning_tokens": counts["reasoning"]},
    }


def whole(conversation: Conversation, answer: Answer) -> bytes:
    """A whole completion."""
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None, "refusal": None}
    if answer.refusal:
        message |= {"content": None, "refusal": "I can't help with that."}
    if answer.tool_calls:
        message["tool_calls"] = [
            {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}
            for key, name, arguments in answer.tool_calls
        ]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish}
        for index in range(conversation.n)
    ]
    return json.dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1790000000,
            "model": conversation.model,
            "choices": choices,
            "usage": _usage(answer),
        }
    ).encode()


def events(conversation: Conversation, answer: Answer, body: dict[str, Any]) -> Iterator[tuple[bytes, bool]]:
    """The events of a stream, each with whether it is a delta that ``hold``, ``pause`` and the cuts count."""
    options = body.get("stream_options") or {}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1790000000, "model": conversation.model}
    if options.get("include_usage"):
        head["usage"] = None

    def chunk(index: int, delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event(head | {"choices": [{"index": index, "delta": delta, "finish_reason": finish}]})

    for index in range(conversation.n):
        yield chunk(index, {"role": "assistant", "content": "", "refusal": None}), False
    texts = ["I can't help", " with that."] if answer.refusal else answer.pieces
    for text in texts:
        for index in range(conversation.n):
            yield chunk(index, {"refusal" if answer.refusal else "content": text}), True
    for position, (key, name, arguments) in enumerate(answer.tool_calls):
        function = {"name": name, "arguments": ""}
        yield chunk(0, {"tool_calls": [{"index": position, "id": key, "type": "function", "function": function}]}), True
        for piece in re.findall(r".{1,8}", arguments, re.DOTALL):
            yield chunk(0, {"tool_calls": [{"index": position, "function": {"arguments": piece}}]}), True
    for index in range(conversation.n):
        yield chunk(index, {}, answer.finish), False
    if options.get("include_usage"):
        yield event(head | {"choices": [], "usage": _usage(answer)}), False
    yield b"data: [DONE]\n\n", False


def event(data: dict[str, Any]) -> bytes:
    """One event."""
    return b"data: %b\n\n" % json.dumps(data, separators=(",", ":")).encode()


def is_usage(data: bytes) -> bool:
    """Whether an event exists for its usage only."""
    return b'"choices":[]' in data


def stream_error() -> bytes:
    """An error inside a stream."""
    return b"data: %b\n\n" % error(500, "The server had an error while processing your request. Sorry about that!")


def models() -> bytes:
    """The list of models."""
    names = ("gpt-4o", "gpt-4o-mini", "gpt-5-mini", "text-embedding-3-small")
    data = [{"id": name, "object": "model", "created": 1790000000, "owned_by": "openai"} for name in names]
    return json.dumps({"object": "list", "data": data}).encode()
