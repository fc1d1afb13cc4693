"""Anthropic's Messages, on the official SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import anthropic
import httpx2

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, ChatResult, Choice, Delta, FinishReason, ToolCall, ToolCallDelta, Usage
from django_wp_ai.providers import anthropic_wire
from django_wp_ai.providers.failures import Cut, translated
from django_wp_ai.providers.hosted import HostedProvider

PATH = "/v1/messages"
FINISH_REASONS: Mapping[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


class AnthropicProvider(HostedProvider[anthropic.AsyncAnthropic]):
    """Claude models.

    What the vendor has no word for is met half-way: ``seed`` is not sent; ``json_object`` is asked for in the system
    prompt; ``max_tokens``, which the vendor demands, defaults to ``DEFAULT_MAX_TOKENS``; a temperature is clamped to 1.
    """

    known_models = ("claude-haiku-4-5", "claude-sonnet-4-6", "claude-opus-4-6", "claude-*")
    default_base_url = "https://api.anthropic.com"
    default_no_sampling_models = (
        "claude-opus-4-[7-9]*",
        "claude-opus-[5-9]*",
        "claude-sonnet-[5-9]*",
        "claude-haiku-[5-9]*",
        "claude-fable-*",
        "claude-mythos-*",
    )
    price_provider = "anthropic"
    supports_images = True
    supports_tools = True
    supports_json_schema = True

    def connect(self, api_key: str, http_client: httpx2.AsyncClient) -> anthropic.AsyncAnthropic:
        """An SDK client."""
        return anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=self.base_url,
            timeout=self.timeout,
            max_retries=0,
            default_headers=self.default_headers,
            http_client=http_client,
        )

    def unwrap(self, sdk: anthropic.AsyncAnthropic, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Verify an event."""
        sdk.beta.webhooks.unwrap(body.decode(), headers=headers, key=secret)

    def kind_of_event(self, payload: Mapping[str, Any]) -> Any:
        """In the ``data``: the event's own type is always ``event``."""
        data = payload.get("data")
        return data.get("type") if isinstance(data, dict) else None

    def _parameters(self, request: ChatRequest, model: str) -> dict[str, Any]:
        self.check(request)
        found: dict[str, Any] = {
            "model": model,
            "messages": anthropic_wire.messages(request),
            "max_tokens": request.max_tokens or settings.default_max_tokens,
            **anthropic_wire.tools(request),
            **anthropic_wire.output_config(request),
        }
        if system := anthropic_wire.system(request):
            found["system"] = system
        if request.stop:
            found["stop_sequences"] = list(request.stop)
        sampling = self.sampling(request, model)
        if "temperature" in sampling:
            # Some models refuse both together; the vendor advises to alter only one.
            sampling = {"temperature": min(1.0, max(0.0, sampling["temperature"]))}
        return found | sampling

    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        """Answer whole."""
        parameters = self._parameters(request, model)
        with translated(self.name, model):
            message = await self.ask(PATH, parameters)
            choice = _choice(message)
            usage = self.reported(_usage(message["usage"])) or self.estimate(request, choice.text)
            return ChatResult((choice,), usage, message.get("model") or model)

    async def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece."""
        parameters = self._parameters(request, model)
        reading = _Reading()
        with translated(self.name, model) as call:
            async with aclosing(await self.events(PATH, {**parameters, "stream": True})) as events:
                async for event in events:
                    call.answering = True
                    delta = reading.take(event)
                    if delta is not None:
                        yield delta
            if not reading.finished:
                raise Cut
        usage = self.reported(reading.usage) or self.estimate(request, "".join(reading.said))
        yield Delta(usage=usage, model=reading.model or model)


def _choice(message: Any) -> Choice:
    """The answer; raises LookupError, AttributeError or TypeError for what is none."""
    texts, calls = [], []
    for block in message["content"]:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "tool_use":
            calls.append(ToolCall(block["id"], block["name"], json.dumps(block["input"], ensure_ascii=False)))
    return Choice("".join(texts), _finish(message["stop_reason"]), tuple(calls))


def _finish(reason: str | None) -> FinishReason:
    return FINISH_REASONS.get(reason or "", "stop")


def _usage(usage: Mapping[str, Any], before: Usage | None = None) -> Usage:
    """Normalised usage: the vendor's ``input_tokens`` leaves out cached and cache-write tokens, ours has them.

    A stream reports input at its start and output at its end; ``before`` is what the start said.
    """
    known = before or Usage()
    cached = _count(usage, "cache_read_input_tokens", known.cached_input_tokens)
    written = _count(usage, "cache_creation_input_tokens", known.cache_write_tokens)
    fresh = _count(usage, "input_tokens", known.input_tokens - known.cached_input_tokens - known.cache_write_tokens)
    details = usage.get("output_tokens_details") or {}
    return Usage(
        input_tokens=fresh + cached + written,
        output_tokens=_count(usage, "output_tokens", known.output_tokens),
        cached_input_tokens=cached,
        cache_write_tokens=written,
        reasoning_tokens=_count(details, "thinking_tokens", known.reasoning_tokens),
    )


def _count(usage: Mapping[str, Any], name: str, default: int) -> int:
    value = usage.get(name)
    return default if value is None else value


class _Reading:
    """A stream as far as it was read."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.model = ""
        self.said: list[str] = []
        self.finished = False
        self._tools: dict[int, int] = {}  # block index -> position among the tool calls

    def take(self, event: Any) -> Delta | None:
        """The delta that an event means; None for the others. Unknown events may come (the vendor says so)."""
        match event["type"]:
            case "message_start":
                self.model = event["message"]["model"]
                self.usage = _usage(event["message"]["usage"])
            case "content_block_start" if event["content_block"]["type"] == "tool_use":
                block = event["content_block"]
                position = self._tools[event["index"]] = len(self._tools)
                return Delta(tool_call=ToolCallDelta(position, block["id"], block["name"]), model=self.model)
            case "content_block_delta":
                return self._piece(event["index"], event["delta"])
            case "message_delta":
                self.usage = _usage(event["usage"], self.usage)
                if reason := event["delta"].get("stop_reason"):
                    self.finished = True
                    return Delta(finish_reason=_finish(reason), model=self.model)
        return None

    def _piece(self, index: int, delta: Mapping[str, Any]) -> Delta | None:
        text, arguments = delta.get("text"), delta.get("partial_json")
        if delta["type"] == "text_delta" and text:
            self.said.append(text)
            return Delta(text=text, model=self.model)
        if delta["type"] == "input_json_delta" and arguments and index in self._tools:
            self.said.append(arguments)
            return Delta(tool_call=ToolCallDelta(self._tools[index], arguments=arguments), model=self.model)
        return None
