"""OpenAI's chat completion request. Source: the OpenAI API reference, chat/create (2026)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from django_wp_ai.datatypes import ChatRequest
from django_wp_ai.schemas.base import Identity, ModelName, Off, Penalty, Probability, Strict, Temperature, TokenCount
from django_wp_ai.schemas.messages import MessageIn, ResponseFormatIn, ToolChoiceIn, ToolIn, tool_choice


class StreamOptionsIn(Strict):
    include_usage: bool = False
    include_obfuscation: Off | None = None


class ChatCompletionIn(Strict):
    """The parameters we carry; those we can't are refused unless they say what is the default anyway."""

    model: ModelName = ""
    messages: Annotated[list[MessageIn], Field(min_length=1)]
    temperature: Temperature | None = None
    top_p: Probability | None = None
    n: Annotated[int, Field(ge=1, le=128)] | None = None
    max_tokens: TokenCount | None = None
    max_completion_tokens: TokenCount | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptionsIn | None = None
    tools: Annotated[list[ToolIn], Field(max_length=128)] | None = None
    tool_choice: ToolChoiceIn | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormatIn | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    user: Identity | None = None
    safety_identifier: Identity | None = None
    metadata: Annotated[dict[str, str], Field(max_length=16)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logprobs: Off | None = None
    store: Off | None = None
    service_tier: Literal["auto", "default"] | None = None

    @model_validator(mode="after")
    def limits_agree(self) -> ChatCompletionIn:
        """The old and the new name of one limit must not differ, and a stream's options need a stream."""
        if None not in (self.max_tokens, self.max_completion_tokens) and self.max_tokens != self.max_completion_tokens:
            raise ValueError("max_tokens and max_completion_tokens differ")
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options go with stream only")
        return self

    def to_request(self) -> ChatRequest:
        """As plain data."""
        metadata = self.metadata or {}
        return ChatRequest(
            messages=tuple(message.to_message() for message in self.messages),
            model=self.model,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_completion_tokens or self.max_tokens,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            seed=self.seed,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            n=self.n or 1,
            tools=tuple(tool.to_tool() for tool in self.tools or ()),
            tool_choice=tool_choice(self.tool_choice, self.parallel_tool_calls),
            response_format=self.response_format.to_format() if self.response_format else None,
            reasoning_effort=self.reasoning_effort,
            end_user=self.safety_identifier or self.user or metadata.get("end_user", "")[:128],
            plugin=metadata.get("plugin", "")[:128],
        )
