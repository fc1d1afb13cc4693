"""The JSON in what a model said."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.jobs.asking.json_answer import parse


@pytest.mark.parametrize(
    ("said", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('\ufeff {"a": 1}\n', {"a": 1}),
        ('```json\n{"a": 1}\n```', {"a": 1}),
        ("Here you are:\n```\n[1, 2]\n```\nAnything else?", [1, 2]),
        ('Sure! {"a": {"b": "}"}} I hope this helps.', {"a": {"b": "}"}}),
        ('First {not this} then {"a": 1}', {"a": 1}),
        ('```json\n{"a": broken}\n```\n{"a": 1}', {"a": 1}),
        ('"text"', "text"),
        ('{"a": "\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a": "half \\ud83d"}', {"a": "half ?"}),
    ],
)
def test_it_is_found(said: str, value: Any) -> None:
    assert parse(said) == value


@pytest.mark.parametrize(
    "said",
    [
        "",
        "No.",
        "{",
        '{"a": NaN}',
        '{"a": 1e999}',
        "[" * 100_000,
        "[" * 100 + "]" * 100,
        '{"a":' * 100_000,
        "{" * 100_000,
        "```" * 50_000,
        f"[1{'0' * 5000}]",
    ],
)
def test_where_there_is_none_it_is_told(said: str) -> None:
    with pytest.raises(ValueError, match="JSON"):
        parse(said)
