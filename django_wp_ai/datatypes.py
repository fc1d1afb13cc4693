"""Plain data that flows speak: standard library only, no Django, no HTTP.

Tokens are counts, money is ``Decimal`` US dollars, ``arguments`` of tool calls are JSON text as the model wrote it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from django_wp_ai.models import Credential, Tenant

Role = Literal["system", "user", "assistant", "tool"]
Variable = str | int | float | bool  # what a prompt template takes for one placeholder
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "error"]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A run of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image by ``https`` or ``data:`` URL; ``detail`` is OpenAI's low/high/auto."""

    url: str
    detail: str = "auto"


Part = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool; ``arguments`` is JSON text."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. ``tool_call_id`` (and ``is_error``) belong to role ``tool``, ``tool_calls`` to ``assistant``."""

    role: Role
    content: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    is_error: bool = False
    name: str | None = None

    @property
    def text(self) -> str:
        """All text parts joined."""
        return "".join(part.text for part in self.content if isinstance(part, TextPart))


@dataclass(frozen=True, slots=True)
class Tool:
    """A function the model may call; ``parameters`` is a JSON schema object."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """``auto``, ``none``, ``required``, or ``function`` with a ``name``."""

    type: Literal["auto", "none", "required", "function"]
    name: str | None = None
    parallel: bool | None = None


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """Wished shape of the answer; ``schema`` is a JSON schema for ``json_schema``."""

    type: Literal["text", "json_object", "json_schema"]
    schema: Mapping[str, Any] | None = None
    name: str = "response"
    strict: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat call as every edge translates to. ``model`` may be an alias, ``provider:model`` or empty."""

    messages: tuple[Message, ...]
    model: str = ""
    provider: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    n: int = 1
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    end_user: str = ""
    plugin: str = ""
    cache: bool | None = None  # None: as the tenant's cache mode says
    conversation_id: str = ""
    prompt_template: str = ""  # "name" or "name@version"
    variables: Mapping[str, Variable] = field(default_factory=dict)
    language: str = ""
    server_tools: tuple[str, ...] = ()  # names of the host's own tools, which this side runs
    tool_turns: tuple[Message, ...] = ()  # what those tools were asked and said so far: after all other messages


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddingRequest:
    """Texts to be made vectors. ``model`` may be an alias, ``provider:model`` or empty."""

    inputs: tuple[str, ...]
    model: str = ""
    provider: str = ""
    dimensions: int | None = None
    end_user: str = ""
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. ``input_tokens`` includes the cached ones, ``output_tokens`` the reasoning ones."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """One finished candidate."""

    text: str
    finish_reason: FinishReason
    tool_calls: tuple[ToolCall, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class ChatResult:
    """A finished call as a provider returns it."""

    choices: tuple[Choice, ...]
    usage: Usage
    model: str
    provider_status: int = 200


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A piece of a tool call: the first piece of ``index`` carries ``id`` and ``name``."""

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class ToolStep:
    """What became of one call of the host's own tools; ``error`` is a short code, empty where ``ok``."""

    step: int
    tool: str
    ok: bool
    elapsed_ms: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a stream for candidate ``choice``. The last ones carry ``finish_reason`` and ``usage``."""

    text: str = ""
    choice: int = 0
    tool_call: ToolCallDelta | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    model: str = ""
    refusal: str = ""
    tool_step: ToolStep | None = None  # one of the host's own tools has run; never from a provider


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """US dollars per million tokens; ``None`` where a vendor has no such price."""

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """What a usage costs: the sum in US dollars and the unit prices it was made with."""

    cost_usd: Decimal
    prices: UnitPrices


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls: resolved by ``security``, read by flows. Without a credential it is the operator."""

    tenant: Tenant
    credential: Credential | None
    scopes: frozenset[str]
    end_user: str = ""
    roles: tuple[str, ...] = ()
    ip: str = ""
    jti: str = ""
    method: str = ""  # how the proof was given: rfc9421, jwt, api_key, stream_token or a legacy profile
    models: tuple[str, ...] = ()  # the credential's allow-list; empty: the tenant's
