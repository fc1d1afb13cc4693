"""Messages, tools and response formats in OpenAI's shapes. Source: the OpenAI API reference, chat/create (2026)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from django_wp_ai.datatypes import (
    ImagePart,
    Message,
    Part,
    ResponseFormat,
    Role,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from django_wp_ai.schemas.base import ImageUrl, JsonSchema, SchemaName, Strict, ToolName

_ROLES: dict[str, Role] = {"developer": "system"}


class TextPartIn(Strict):
    type: Literal["text"]
    text: str

    def to_part(self) -> Part:
        """As plain data."""
        return TextPart(self.text)


class ImageUrlIn(Strict):
    url: ImageUrl
    detail: Literal["auto", "low", "high"] = "auto"


class ImagePartIn(Strict):
    type: Literal["image_url"]
    image_url: ImageUrlIn

    def to_part(self) -> Part:
        """As plain data."""
        return ImagePart(self.image_url.url, self.image_url.detail)


PartIn = Annotated[TextPartIn | ImagePartIn, Field(discriminator="type")]
Content = str | Annotated[list[PartIn], Field(min_length=1)]


def parts(content: Content | None) -> tuple[Part, ...]:
    """A content field, string or list, as parts."""
    if content is None:
        return ()
    if isinstance(content, str):
        return (TextPart(content),) if content else ()
    return tuple(part.to_part() for part in content)


class FunctionCallIn(Strict):
    name: ToolName
    arguments: str


class ToolCallIn(Strict):
    id: Annotated[str, Field(min_length=1, max_length=128)]
    type: Literal["function"] = "function"
    function: FunctionCallIn

    def to_tool_call(self) -> ToolCall:
        """As plain data."""
        return ToolCall(self.id, self.function.name, self.function.arguments)


class MessageIn(Strict):
    """One message; which fields go with which role is checked here."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Content | None = None
    name: Annotated[str, Field(max_length=64)] | None = None
    tool_calls: list[ToolCallIn] | None = None
    tool_call_id: Annotated[str, Field(max_length=128)] | None = None
    refusal: str | None = None

    @model_validator(mode="after")
    def fields_fit_role(self) -> MessageIn:
        """Refuse a message that no vendor would take."""
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only an assistant message has tool_calls")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("a tool message, and only that, has a tool_call_id")
        if self.content is None and not (self.role == "assistant" and (self.tool_calls or self.refusal)):
            raise ValueError("content is missing")
        images = isinstance(self.content, list) and any(part.type == "image_url" for part in self.content)
        if images and self.role != "user":
            raise ValueError("only a user message has images")
        return self

    def to_message(self) -> Message:
        """As plain data."""
        content = parts(self.content)
        if self.refusal and not content:
            content = (TextPart(self.refusal),)
        return Message(
            role=_ROLES.get(self.role, self.role),  # type: ignore[arg-type]  # the literal without "developer" is Role
            content=content,
            tool_calls=tuple(call.to_tool_call() for call in self.tool_calls or ()),
            tool_call_id=self.tool_call_id,
            name=self.name,
        )


class FunctionIn(Strict):
    name: ToolName
    description: str = ""
    parameters: JsonSchema = Field(default_factory=dict)
    strict: bool | None = None


class ToolIn(Strict):
    type: Literal["function"]
    function: FunctionIn

    def to_tool(self) -> Tool:
        """As plain data."""
        function = self.function
        return Tool(function.name, function.description, function.parameters, function.strict)


class NamedFunctionIn(Strict):
    name: ToolName


class NamedToolChoiceIn(Strict):
    type: Literal["function"]
    function: NamedFunctionIn


ToolChoiceIn = Literal["none", "auto", "required"] | NamedToolChoiceIn


def tool_choice(choice: ToolChoiceIn | None, parallel: bool | None) -> ToolChoice | None:
    """The choice as plain data; None when nothing was said."""
    if isinstance(choice, NamedToolChoiceIn):
        return ToolChoice("function", choice.function.name, parallel)
    if choice is None and parallel is None:
        return None
    return ToolChoice(choice or "auto", None, parallel)


class WrappedSchemaIn(Strict):
    name: SchemaName = "response"
    description: str | None = None
    schema_: JsonSchema = Field(alias="schema")
    strict: bool | None = None


class PlainFormatIn(Strict):
    type: Literal["text", "json_object"]

    def to_format(self) -> ResponseFormat:
        """As plain data."""
        return ResponseFormat(self.type)


class JsonSchemaFormatIn(Strict):
    """``json_schema`` is OpenAI's wrapper, or (WordPress' AI client sends it so) the bare schema."""

    type: Literal["json_schema"]
    json_schema: dict[str, Any]

    @model_validator(mode="after")
    def wrapper_is_whole(self) -> JsonSchemaFormatIn:
        """Check the wrapper where there is one."""
        if not self.json_schema:
            raise ValueError("json_schema is empty")
        if self._is_wrapped():
            WrappedSchemaIn.model_validate(self.json_schema)
        return self

    def _is_wrapped(self) -> bool:
        return isinstance(self.json_schema.get("schema"), dict) and "type" not in self.json_schema

    def to_format(self) -> ResponseFormat:
        """As plain data."""
        if not self._is_wrapped():
            return ResponseFormat("json_schema", self.json_schema)
        wrapped = WrappedSchemaIn.model_validate(self.json_schema)
        return ResponseFormat("json_schema", wrapped.schema_, wrapped.name, wrapped.strict)


ResponseFormatIn = Annotated[PlainFormatIn | JsonSchemaFormatIn, Field(discriminator="type")]
