"""Schemas that sites send: which are taken, and what they hold."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.jobs.asking.json_schema import MAX_NODES, check, problems

PRICE = {
    "$defs": {"money": {"type": "object", "properties": {"amount": {"type": "number", "minimum": 0}}}},
    "type": "object",
    "properties": {
        "price": {"$ref": "#/$defs/money"},
        "sold": {"type": ["string", "null"], "format": "date"},
        "tags": {"type": "array", "items": {"enum": ["new", "used"]}, "maxItems": 2},
        "at": {"type": "string", "format": "date-time"},
        "link": {"type": "string", "format": "uri"},
    },
    "required": ["price"],
    "additionalProperties": False,
}


def test_a_usual_schema_is_taken() -> None:
    check(PRICE)


def wide(levels: int) -> dict[str, Any]:
    """Small to write, and doubled by every level."""
    defs: dict[str, Any] = {"n0": {"type": "string"}}
    for level in range(1, levels):
        part = {"$ref": f"#/$defs/n{level - 1}"}
        defs[f"n{level}"] = {"anyOf": [part, part]}
    return {"type": "object", "$defs": defs, "properties": {"a": {"$ref": f"#/$defs/n{levels - 1}"}}}


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def of(part: Any, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"a": part}, **more}


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({}, "describes an object"),
        ({"type": "array"}, "describes an object"),
        (of({"$ref": "https://example.org/schema.json"}), "leads nowhere"),
        (of({"$ref": "file:///etc/passwd"}), "leads nowhere"),
        (of({"$ref": "#/$defs/none"}), "leads nowhere"),
        (of({"$ref": "#"}), "leads nowhere"),
        (of({"$ref": 5}), "leads nowhere"),
        (of({"$ref": "#/$defs/a"}, **{"$defs": {"a": {"$ref": "#/$defs/a"}}}), "back to itself"),
        (of({"$id": "https://example.org/"}), r"\$id at properties.a is not supported"),
        (of({"$dynamicRef": "#x"}), "not supported"),
        (of({"type": "string", "pattern": "(a+)+$"}), "pattern at properties.a is not supported"),
        (of({"not": {}}), "not supported"),
        (of({"type": "string", "format": "regex"}), "format at properties.a"),
        (of({"type": "string", "format": ["date"]}), "format at properties.a"),
        (of({"type": "elephant"}), "not a JSON schema"),
        (of({"type": "string", "minLength": "x"}), "not a JSON schema"),
        (of({"enum": 5}), "not a JSON schema"),
        (of([]), "a schema is an object"),
        ({"type": "object", "properties": []}, "properties is an object"),
        (of({"anyOf": {"type": "string"}}), "not a JSON schema"),
        (of({"$defs": {}}), "at the root only"),
        (wide(30), f"at most {MAX_NODES}"),
        (deep(40), "deep"),
        (of({"description": "x" * 20_000}), "bytes"),
    ],
)
def test_a_schema_that_could_do_harm_or_holds_nothing_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check(schema)


@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({"price": {"amount": 3}}, []),
        ({"price": {"amount": 3}, "sold": None, "tags": ["new"], "at": "2026-01-01T10:00:00Z"}, []),
        ({}, [("the root", "required")]),
        ({"price": {"amount": -1}}, [("price.amount", "minimum")]),
        ({"price": {}, "sold": "tomorrow"}, [("sold", "format")]),
        ({"price": {}, "at": "2026-01-01T10:00:00"}, [("at", "format")]),
        ({"price": {}, "link": "/relative"}, [("link", "format")]),
        ({"price": {}, "tags": ["old"]}, [("tags.0", "enum")]),
        ({"price": {}, "more": 1}, [("the root", "additionalProperties")]),
        ([], [("the root", "type")]),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(value: Any, wrong: list[tuple[str, str]]) -> None:
    assert [(path, keyword) for path, keyword, _ in problems(PRICE, value)] == wrong


def test_a_number_that_no_float_holds_does_not_fit() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "number", "multipleOf": 0.5}}}
    check(schema)
    assert problems(schema, {"a": 1.5}) == []
    assert [keyword for _, keyword, _ in problems(schema, {"a": 10**400})] == ["number"]


def test_only_the_first_problems_are_told() -> None:
    many = problems({"type": "array", "items": {"type": "string"}}, list(range(1000)))
    assert len(many) == 8
