"""Anthropic's message request. Source: the Anthropic API reference, messages/create (2026)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from django_wp_ai.datatypes import (
    ChatRequest,
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from django_wp_ai.schemas.base import (
    Identity,
    ImageUrl,
    JsonSchema,
    ModelName,
    Probability,
    Strict,
    TokenCount,
    ToolName,
)


class TextBlockIn(Strict):
    type: Literal["text"]
    text: str


class Base64SourceIn(Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]+={0,2}$")]


class UrlSourceIn(Strict):
    type: Literal["url"]
    url: ImageUrl


class ImageBlockIn(Strict):
    type: Literal["image"]
    source: Annotated[Base64SourceIn | UrlSourceIn, Field(discriminator="type")]

    def to_part(self) -> ImagePart:
        """As plain data."""
        source = self.source
        return ImagePart(
            source.url if isinstance(source, UrlSourceIn) else f"data:{source.media_type};base64,{source.data}"
        )


class ToolUseBlockIn(Strict):
    type: Literal["tool_use"]
    id: Annotated[str, Field(min_length=1, max_length=128)]
    name: ToolName
    input: dict[str, Any]


class ToolResultBlockIn(Strict):
    type: Literal["tool_result"]
    tool_use_id: Annotated[str, Field(max_length=128)]
    content: str | list[TextBlockIn] = ""
    is_error: bool = False

    def to_message(self) -> Message:
        """As plain data."""
        text = self.content if isinstance(self.content, str) else "".join(block.text for block in self.content)
        return Message("tool", (TextPart(text),), tool_call_id=self.tool_use_id, is_error=self.is_error)


UserBlockIn = Annotated[TextBlockIn | ImageBlockIn | ToolResultBlockIn, Field(discriminator="type")]
AssistantBlockIn = Annotated[TextBlockIn | ToolUseBlockIn, Field(discriminator="type")]


class UserMessageIn(Strict):
    role: Literal["user"]
    content: str | Annotated[list[UserBlockIn], Field(min_length=1)]

    def to_messages(self) -> Iterable[Message]:
        """Tool results become messages of their own, before what the user says."""
        if isinstance(self.content, str):
            yield Message("user", (TextPart(self.content),))
            return
        said: list[Part] = []
        for block in self.content:
            if isinstance(block, ToolResultBlockIn):
                yield block.to_message()
            else:
                said.append(TextPart(block.text) if isinstance(block, TextBlockIn) else block.to_part())
        if said:
            yield Message("user", tuple(said))


class AssistantMessageIn(Strict):
    role: Literal["assistant"]
    content: str | list[AssistantBlockIn]

    def to_messages(self) -> Iterable[Message]:
        """Text blocks and tool uses of one turn."""
        if isinstance(self.content, str):
            yield Message("assistant", (TextPart(self.content),))
            return
        yield Message(
            "assistant",
            tuple(TextPart(block.text) for block in self.content if isinstance(block, TextBlockIn)),
            tool_calls=tuple(
                ToolCall(block.id, block.name, json.dumps(block.input))
                for block in self.content
                if isinstance(block, ToolUseBlockIn)
            ),
        )


MessageIn = Annotated[UserMessageIn | AssistantMessageIn, Field(discriminator="role")]


class ToolIn(Strict):
    type: Literal["custom"] = "custom"
    name: ToolName
    description: str = ""
    input_schema: JsonSchema
    strict: bool | None = None


class ToolChoiceIn(Strict):
    type: Literal["auto", "any", "none", "tool"]
    name: ToolName | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def name_goes_with_tool(self) -> ToolChoiceIn:
        """A choice of one tool names it, and no other does."""
        if (self.name is not None) != (self.type == "tool"):
            raise ValueError("a tool_choice of type tool, and only that, has a name")
        return self

    def to_choice(self) -> ToolChoice:
        """As plain data."""
        parallel = None if self.disable_parallel_tool_use is None else not self.disable_parallel_tool_use
        if self.type == "tool":
            return ToolChoice("function", self.name, parallel)
        return ToolChoice("required" if self.type == "any" else self.type, None, parallel)


class MetadataIn(Strict):
    user_id: Identity | None = None


class OutputFormatIn(Strict):
    type: Literal["json_schema"]
    schema_: JsonSchema = Field(alias="schema")


class OutputConfigIn(Strict):
    format: OutputFormatIn | None = None
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None


class MessagesIn(Strict):
    """The parameters we carry; others are refused."""

    model: ModelName
    messages: Annotated[list[MessageIn], Field(min_length=1)]
    max_tokens: TokenCount
    system: str | list[TextBlockIn] | None = None
    temperature: Probability | None = None
    top_p: Probability | None = None
    stop_sequences: Annotated[list[str], Field(max_length=16)] | None = None
    stream: bool = False
    tools: Annotated[list[ToolIn], Field(max_length=128)] | None = None
    tool_choice: ToolChoiceIn | None = None
    metadata: MetadataIn | None = None
    output_config: OutputConfigIn | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    def to_request(self) -> ChatRequest:
        """As plain data."""
        turns = [message for turn in self.messages for message in turn.to_messages()]
        if self.system:
            text = self.system if isinstance(self.system, str) else "\n\n".join(block.text for block in self.system)
            turns.insert(0, Message("system", (TextPart(text),)))
        output = self.output_config or OutputConfigIn()
        return ChatRequest(
            messages=tuple(turns),
            model=self.model,
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            stop=tuple(self.stop_sequences or ()),
            tools=tuple(Tool(tool.name, tool.description, tool.input_schema, tool.strict) for tool in self.tools or ()),
            tool_choice=self.tool_choice.to_choice() if self.tool_choice else None,
            response_format=ResponseFormat("json_schema", output.format.schema_) if output.format else None,
            reasoning_effort=output.effort,
            end_user=(self.metadata.user_id if self.metadata else None) or "",
        )
