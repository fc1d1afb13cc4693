"""The native chat request: OpenAI's message shapes, our own few words around them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from django_wp_ai.api.schemas.base import (
    Identity,
    Metadata,
    ModelName,
    Off,
    Probability,
    Strict,
    Temperature,
    TokenCount,
)
from django_wp_ai.api.schemas.openai import MessageIn, ResponseFormatIn, ToolChoiceIn, ToolIn, tool_choice
from django_wp_ai.datatypes import ChatRequest, Message, TextPart

Prompt = Annotated[str, Field(min_length=1)]


class ChatIn(Strict):
    """Give ``messages`` or ``prompt``; everything else has a default."""

    messages: Annotated[list[MessageIn], Field(min_length=1)] | None = None
    prompt: Prompt | None = None
    model: Annotated[ModelName, Field(description="A model, an alias or provider:model.")] = ""
    provider: Annotated[str, Field(max_length=64)] = ""
    system: Annotated[str, Field(description="Put before the messages.")] | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_tokens: TokenCount | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool = False
    response_format: ResponseFormatIn | None = None
    tools: Annotated[list[ToolIn], Field(max_length=128)] | None = None
    tool_choice: ToolChoiceIn | None = None
    metadata: Metadata | None = None
    cache: Off | None = None
    dry_run: Off | None = None

    @model_validator(mode="after")
    def one_of_prompt_and_messages(self) -> ChatIn:
        """Both would be ambiguous, neither would be empty."""
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        return self

    def to_request(self) -> ChatRequest:
        """As plain data."""
        turns = tuple(message.to_message() for message in self.messages or ())
        if self.prompt is not None:
            turns = (Message("user", (TextPart(self.prompt),)),)
        if self.system:
            turns = (Message("system", (TextPart(self.system),)), *turns)
        metadata = self.metadata or Metadata()
        return ChatRequest(
            messages=turns,
            model=self.model,
            provider=self.provider,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=(self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ()),
            tools=tuple(tool.to_tool() for tool in self.tools or ()),
            tool_choice=tool_choice(self.tool_choice, None),
            response_format=self.response_format.to_format() if self.response_format else None,
            end_user=metadata.end_user,
            plugin=metadata.plugin,
        )


class StreamTokenIn(Strict):
    """A browser's ticket for one stream."""

    scope: Literal["chat", "embeddings", "jobs", "rag.read"] = "chat"
    end_user: Identity = ""
    ttl_s: Annotated[int, Field(ge=1, description="Seconds; 300 at most.")] = 60
    max_requests: Literal[1] = 1
