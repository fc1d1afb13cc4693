"""What the stand-in says, in no vendor's shape.

Tokens are counted so that a test can compute a price: input is the number of blank-separated words of every text in the
request (system included, directives too) plus 100 for an image; output is the words of the answer plus 5 for a tool
call, times ``n``. ``[[usage=…]]`` overrides both.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.vendor import directives
from tests.vendor.directives import Directives

IMAGE_TOKENS = 100
TOOL_CALL_TOKENS = 5


@dataclass(slots=True)
class Conversation:
    """A request as both dialects read it."""

    model: str
    texts: list[str] = field(default_factory=list)
    images: int = 0
    last_user_text: str = ""
    tool_result: str | None = None
    tool_rounds: int = 0  # assistant turns with tool calls since the user's message
    tools: list[str] = field(default_factory=list)
    forced_tool: str | None = None
    schema: Mapping[str, Any] | None = None
    max_tokens: int | None = None
    stop: Sequence[str] = ()
    n: int = 1
    stream: bool = False

    @property
    def input_tokens(self) -> int:
        return sum(len(text.split()) for text in self.texts) + IMAGE_TOKENS * self.images


@dataclass(slots=True)
class Answer:
    """What to say; ``finish`` in OpenAI's words, ``usage`` in totals (input includes cached and cache writes)."""

    pieces: list[str]
    tool_calls: list[tuple[str, str, str]]
    finish: str
    usage: dict[str, int]
    stop_sequence: str | None = None
    refusal: bool = False

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def compose(conversation: Conversation, wishes: Directives) -> Answer:
    """The answer to a conversation: what the directives ask for, else an echo of the user's words."""
    calls = _tool_calls(conversation, wishes)
    pieces = [] if calls and wishes.say is None else _pieces(conversation, wishes)
    finish = "tool_calls" if calls else "stop"
    stop_sequence = next((stop for stop in conversation.stop if stop in "".join(pieces)), None)
    if stop_sequence is not None:
        pieces = _words("".join(pieces).split(stop_sequence, 1)[0])
    if conversation.max_tokens is not None and len(pieces) > conversation.max_tokens:
        pieces, finish, stop_sequence = pieces[: conversation.max_tokens], "length", None
    usage = wishes.usage or {
        "input": conversation.input_tokens,
        "output": (len("".join(pieces).split()) + TOOL_CALL_TOKENS * len(calls)) * conversation.n,
        "cached": 0,
        "cache_write": 0,
        "reasoning": 0,
    }
    return Answer(pieces, calls, wishes.finish or finish, usage, stop_sequence, wishes.refusal)


def _tool_calls(conversation: Conversation, wishes: Directives) -> list[tuple[str, str, str]]:
    if conversation.tool_rounds >= wishes.rounds or not conversation.tools:
        return []
    wished = [(name, arguments) for name, arguments in wishes.tools if name in conversation.tools]
    if not wished and conversation.forced_tool:
        wished = [(conversation.forced_tool, json.dumps(conforming(conversation.schema or {"type": "object"})))]
    first = 1 + 100 * conversation.tool_rounds
    return [(f"call_{number}", name, arguments) for number, (name, arguments) in enumerate(wished, first)]


def _pieces(conversation: Conversation, wishes: Directives) -> list[str]:
    if wishes.say is not None:
        return _words(wishes.say)
    if conversation.tool_result is not None:
        return _words(f"The tool said: {conversation.tool_result}")
    if conversation.schema is not None:
        return _words(json.dumps(conforming(conversation.schema)))
    if wishes.chunks:
        return [f"tok{number} " for number in range(1, wishes.chunks)] + [f"tok{wishes.chunks}"]
    return _words(f"You said: {directives.strip(conversation.last_user_text)}")


def _words(text: str) -> list[str]:
    """``text`` cut after each run of blanks: joined again it is the same text."""
    return re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", text)


def conforming(schema: Mapping[str, Any]) -> Any:
    """A value that a simple JSON schema allows."""
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: conforming(properties[name]) for name in schema.get("required", properties) if name in properties}
    if kind == "array":
        return [conforming(schema.get("items", {}))] * max(1, schema.get("minItems", 1))
    simple = {"string": "text", "integer": schema.get("minimum", 7), "number": schema.get("minimum", 1.5)}
    return simple.get(kind, True if kind == "boolean" else None)
