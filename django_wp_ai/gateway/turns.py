"""A turn as it is kept: plain data, encrypted; and a history as a vendor takes it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

from django_wp_ai.datatypes import ImagePart, Message, Role, TextPart, ToolCall
from django_wp_ai.models import Turn
from django_wp_ai.security import secrets

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4  # role and separators
MAX_URL_CHARS = 200


def kept(messages: Iterable[Message]) -> list[Message]:
    """The messages that make turns, as they are kept: no system prompts, nothing empty, a note for an image."""
    plain = [_plain(message) for message in messages if message.role != "system"]
    return [message for message in plain if message.role == "tool" or message.text.strip() or message.tool_calls]


def _plain(message: Message) -> Message:
    """Images become notes: their bytes would fill the table, their URLs stop working and then so would the chat."""
    if not any(isinstance(part, ImagePart) for part in message.content):
        return message
    texts = [part.text if isinstance(part, TextPart) else _note(part) for part in message.content]
    return replace(message, content=(TextPart("\n".join(text for text in texts if text)),))


def _note(image: ImagePart) -> str:
    return "[image]" if image.url.startswith("data:") else f"[image: {image.url[:MAX_URL_CHARS]}]"


def tokens(message: Message) -> int:
    """An estimate: 4 bytes a token, and what frames a message."""
    written = message.text + "".join(call.name + call.arguments for call in message.tool_calls)
    return TOKENS_PER_MESSAGE + -(-len(written.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def seal(message: Message) -> str:
    """What is stored of a message besides its role."""
    data: dict[str, Any] = {"text": message.text}
    if message.tool_calls:
        data["tool_calls"] = [[call.id, call.name, call.arguments] for call in message.tool_calls]
    if message.tool_call_id is not None:
        data |= {"tool_call_id": message.tool_call_id, "is_error": message.is_error}
    if message.name is not None:
        data["name"] = message.name
    return secrets.seal(json.dumps(data).encode()).decode()


def unseal(role: str, content: str) -> Message:
    """The message again; raises UndecryptableSecret when no key opens it."""
    data = json.loads(secrets.unseal(content.encode()))
    return Message(
        cast("Role", role),
        (TextPart(data["text"]),) if data["text"] else (),
        tool_calls=tuple(ToolCall(*call) for call in data.get("tool_calls", ())),
        tool_call_id=data.get("tool_call_id"),
        is_error=data.get("is_error", False),
        name=data.get("name"),
    )


def exported(turn: Turn) -> dict[str, Any]:
    """A turn for its end user, ready for JSON."""
    row: dict[str, Any] = {"role": turn.role, "created_at": turn.created_at.isoformat()}
    try:
        message = unseal(turn.role, turn.content)
    except secrets.UndecryptableSecret:
        return row | {"content": None}
    row["content"] = message.text
    if message.tool_calls:
        row["tool_calls"] = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return row


def paired(messages: Sequence[Message], following: Sequence[Message]) -> tuple[Message, ...]:
    """The history as vendors take it: each tool call with its result right behind it, and no result without a call.

    ``following`` is what the caller adds: results at its start answer the last calls of the history. A call that
    nobody answered is left out, as is a result that another request came in between of.
    """
    everything = [*messages, *(message for message in following if message.role != "system")]
    found: list[Message] = []
    asked: set[str] = set()
    for index, message in enumerate(messages):
        if message.role == "tool":
            if message.tool_call_id in asked:
                found.append(message)
            continue
        results = takewhile(lambda later: later.role == "tool", everything[index + 1 :])
        answered = {result.tool_call_id for result in results}
        calls = tuple(call for call in message.tool_calls if call.id in answered)
        asked = {call.id for call in calls}
        if calls or message.text:
            found.append(message if calls == message.tool_calls else replace(message, tool_calls=calls))
    return tuple(found)
