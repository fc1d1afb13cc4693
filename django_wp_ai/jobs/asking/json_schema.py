"""JSON schemas that sites send: a bounded subset of draft 2020-12, and what in a value does not fit one.

Left out is what fetches (``$ref`` to elsewhere), what may never end (recursive ``$ref``) and what may take for ever
(``pattern``: a regular expression can be made to). An unknown keyword is refused, since it would hold nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, ValidationError
from referencing import Registry

MAX_BYTES: Final = 16 * 1024
MAX_DEPTH: Final = 24
MAX_NODES: Final = 1000  # schemas within the schema, each $ref counted with what it leads to
SHOWN_ERRORS: Final = 8
FORMATS: Final = ("date", "date-time", "email", "ipv4", "ipv6", "uri", "uuid")
_ONE = frozenset({"additionalProperties", "items"})
_LISTS = frozenset({"prefixItems", "anyOf", "oneOf", "allOf"})
_MAPS = frozenset({"properties"})
_PLAIN = frozenset(
    {"type", "enum", "const", "required", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}
    | {"multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"}
)
_WORDS = frozenset({"$schema", "$comment", "title", "description", "default", "examples", "deprecated"})
KEYWORDS: Final = _ONE | _LISTS | _MAPS | _PLAIN | _WORDS | {"$ref", "$defs"}
_formats = FormatChecker(formats=tuple(set(FORMATS) - {"date-time", "uri"}))


def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _is_uri(value: object) -> bool:
    return not isinstance(value, str) or bool(urlsplit(value).scheme and urlsplit(value).netloc)


_formats.checks("date-time", raises=ValueError)(_is_time)
_formats.checks("uri", raises=ValueError)(_is_uri)


def check(schema: Mapping[str, Any]) -> None:
    """Raise ValueError with a sentence for a schema that is not taken. Its root describes an object."""
    if len(json.dumps(schema, ensure_ascii=False, default=str).encode("utf-8", "replace")) > MAX_BYTES:
        raise ValueError(f"a schema has at most {MAX_BYTES} bytes")
    if schema.get("type") != "object":
        raise ValueError('the schema describes an object: its "type" is "object"')
    _Walk(schema).visit(schema, "", 0, ())
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        path = ".".join(map(str, error.absolute_path)) or "the root"
        raise ValueError(f"not a JSON schema at {path}") from None


def problems(schema: Mapping[str, Any], value: Any) -> list[tuple[str, str, str]]:
    """What does not fit, the first of it: path, broken keyword, and a message that quotes the value."""
    validator = Draft202012Validator(schema, format_checker=_formats, registry=Registry())
    first = islice(validator.iter_errors(value), SHOWN_ERRORS)
    try:
        return [(_path(error), str(error.validator), error.message[:300]) for error in first]
    except ArithmeticError:  # multipleOf of a number that no float holds
        return [("the root", "number", "A number is too large.")]


def _path(error: ValidationError) -> str:
    return ".".join(map(str, error.absolute_path))[:100] or "the root"


class _Walk:
    """Every schema within a schema, references followed, as the validator would."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def visit(self, node: Any, path: str, depth: int, passed: tuple[str, ...]) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise ValueError(f"at most {MAX_NODES} schemas within the schema, {MAX_DEPTH} deep")
        if isinstance(node, bool):
            return
        if not isinstance(node, Mapping):
            raise ValueError(f"a schema is an object, at {path or 'the root'}")
        self._check_keywords(node, path)
        for inner, where in self._within(node, path):
            self.visit(inner, where, depth + 1, passed)
        if "$ref" in node:
            self._follow(node["$ref"], path, depth, passed)

    def _check_keywords(self, node: Mapping[str, Any], path: str) -> None:
        unknown = sorted(str(key)[:60] for key in node if key not in KEYWORDS)
        if unknown:
            raise ValueError(f"{unknown[0]} at {path or 'the root'} is not supported; known: {_list(KEYWORDS)}")
        if node.get("format", "date") not in FORMATS:
            raise ValueError(f"the format at {path or 'the root'} is not supported; known: {_list(FORMATS)}")
        if "$defs" in node and path:
            raise ValueError("$defs stands at the root only")

    def _within(self, node: Mapping[str, Any], path: str) -> Iterator[tuple[Any, str]]:
        for keyword in node:
            below, where = node[keyword], f"{path}.{keyword}".lstrip(".")
            if keyword in _ONE:
                yield below, where
            elif keyword in _LISTS and isinstance(below, list):
                yield from ((part, f"{where}.{position}") for position, part in enumerate(below))
            elif keyword in _MAPS or keyword == "$defs":
                if not isinstance(below, Mapping):
                    raise ValueError(f"{where} is an object")
                yield from ((part, f"{where}.{name}"[:200]) for name, part in below.items())

    def _follow(self, reference: Any, path: str, depth: int, passed: tuple[str, ...]) -> None:
        name = reference.removeprefix("#/$defs/") if isinstance(reference, str) else ""
        definitions = self._root.get("$defs")
        known = definitions if isinstance(definitions, Mapping) else {}
        if not isinstance(reference, str) or not reference.startswith("#/$defs/") or name not in known or "~" in name:
            raise ValueError(f"the $ref at {path or 'the root'} leads nowhere: write #/$defs/name")
        if name in passed:
            raise ValueError(f"the $ref at {path or 'the root'} leads back to itself")
        self.visit(known[name], f"$defs.{name}", depth + 1, (*passed, name))


def _list(names: frozenset[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names))
