"""Checks of what a job is created with: plain JSON that a database takes, in the shape of its kind."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid
from django_wp_ai.jobs.registry import JobKind

MAX_METADATA_BYTES = 16 * 1024


def parse(kind: JobKind, raw: Any, *, field: str = "input") -> BaseModel:
    """JSON as the kind's schema reads it; raises Invalid that names the fields: ``input.messages.0.content``."""
    text = dumped(raw, field=field)
    try:
        return kind.input.model_validate_json(text)
    except ValidationError as error:
        errors = [
            {"field": ".".join([field, *map(str, one["loc"])]), "message": message_of(one)}
            for one in error.errors(include_url=False, include_context=False, include_input=False)
        ]
        raise Invalid(f"No input of the kind {kind.name}.", errors=errors, param=errors[0]["field"]) from None


def message_of(error: Mapping[str, Any]) -> str:
    """Pydantic's message of one field, in JSON's words."""
    if error.get("type") in {"model_type", "dict_type"}:
        return "Input should be an object"
    return str(error.get("msg", "")).removeprefix("Value error, ")


def dumped(value: Any, *, field: str, most_bytes: int | None = None) -> str:
    """JSON text of ``value``; raises Invalid for what is no JSON, can't be stored, or is too large or too deep."""
    _check(value, field)
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError):
        raise invalid(field, "Only JSON values: objects, lists, texts, finite numbers, true, false, null.") from None
    if most_bytes is not None and len(text.encode()) > most_bytes:
        raise invalid(field, f"At most {most_bytes} bytes of JSON.")
    return text


def check_text(value: str, *, field: str, most: int) -> None:
    """Raise Invalid for a text that is too long, or that a database can't store."""
    if len(value) > most:
        raise invalid(field, f"At most {most} characters.")
    if not is_storable(value):
        raise invalid(field, "No NUL character, and no half of a surrogate pair.")


def invalid(field: str, message: str) -> Invalid:
    """An error of one field."""
    return Invalid(f"{field}: {message}", errors=[{"field": field, "message": message}], param=field)


def _check(value: Any, field: str) -> None:
    """Walk without recursion, so that depth is refused and not a crash."""
    left: list[tuple[Any, str, int]] = [(value, field, 0)]
    while left:
        one, path, depth = left.pop()
        if depth > settings.max_json_depth:
            raise invalid(field, f"Nested more than {settings.max_json_depth} levels deep.")
        if isinstance(one, str) and not is_storable(one):
            raise invalid(path, "No NUL character, and no half of a surrogate pair.")
        if isinstance(one, dict):
            if any(not isinstance(name, str) or not is_storable(name) for name in one):
                raise invalid(path, "Names are texts without NUL characters or halves of surrogate pairs.")
            left += [(inner, f"{path}.{name}", depth + 1) for name, inner in one.items()]
        elif isinstance(one, (list, tuple)):
            left += [(inner, f"{path}.{index}", depth + 1) for index, inner in enumerate(one)]


def is_storable(text: str) -> bool:
    """Whether a database takes it: no NUL, no half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
