"""The fields of a native chat: OpenAI's message shapes, our own few words around them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import uuid4

from pydantic import Discriminator, Field, Tag, model_validator

from django_wp_ai.datatypes import ChatRequest, Message, TextPart, Variable
from django_wp_ai.schemas.base import (
    Cache,
    Metadata,
    ModelName,
    Probability,
    Strict,
    Temperature,
    TokenCount,
    ToolName,
)
from django_wp_ai.schemas.messages import MessageIn, ResponseFormatIn, ToolChoiceIn, ToolIn, tool_choice

Prompt = Annotated[str, Field(min_length=1)]
VariableName = Annotated[str, Field(max_length=64)]


def _kind_of_tool(value: Any) -> str:
    return "name" if isinstance(value, str) else "function"


#: A function that the caller runs, or the name of one of the host's own tools.
AnyToolIn = Annotated[
    Annotated[ToolIn, Tag("function")] | Annotated[ToolName, Tag("name")], Discriminator(_kind_of_tool)
]


def conversation(given: str | None) -> str:
    """The conversation to go on with; a new one gets its id here, so that all steps of a call have the same."""
    if given is None:
        return ""
    return str(uuid4()) if given in ("", "new") else given


class ChatFields(Strict):
    """Give ``messages``, ``prompt`` or ``prompt_template``; everything else has a default."""

    messages: Annotated[list[MessageIn], Field(min_length=1)] | None = None
    prompt: Prompt | None = None
    prompt_template: Annotated[
        str,
        Field(min_length=1, max_length=80, description="name or name@version; its prompt comes after the messages."),
    ] = ""
    variables: Annotated[
        dict[VariableName, Variable], Field(max_length=64, description="What is put into the template.")
    ] = {}
    language: Annotated[str, Field(max_length=35, description="Of the template: a tag such as de or pt-BR.")] = ""
    conversation_id: Annotated[str, Field(max_length=64, description="new, a UUID or the site's name.")] | None = None
    model: Annotated[ModelName, Field(description="A model, an alias or provider:model.")] = ""
    provider: Annotated[str, Field(max_length=64)] = ""
    system: Annotated[str, Field(description="Put before the messages.")] | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    max_tokens: TokenCount | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    response_format: ResponseFormatIn | None = None
    tools: Annotated[list[AnyToolIn], Field(max_length=128)] | None = None
    tool_choice: ToolChoiceIn | None = None
    metadata: Metadata | None = None
    cache: Cache | None = None

    @model_validator(mode="after")
    def something_to_say(self) -> ChatFields:
        """Both prompt and messages would be ambiguous, nothing at all would be empty."""
        if self.prompt_template:
            if self.prompt is not None:
                raise ValueError("give either prompt or prompt_template")
        elif (self.prompt is None) == (self.messages is None):
            raise ValueError("give either prompt or messages")
        elif self.variables or self.language:
            raise ValueError("variables and language go with a prompt_template")
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
            tools=tuple(tool.to_tool() for tool in self.tools or () if isinstance(tool, ToolIn)),
            server_tools=tuple(name for name in self.tools or () if isinstance(name, str)),
            tool_choice=tool_choice(self.tool_choice, None),
            response_format=self.response_format.to_format() if self.response_format else None,
            end_user=metadata.end_user,
            plugin=metadata.plugin,
            conversation_id=conversation(self.conversation_id),
            prompt_template=self.prompt_template,
            variables=self.variables,
            language=self.language,
            cache=self.cache,
        )
