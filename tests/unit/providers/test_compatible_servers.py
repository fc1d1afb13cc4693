"""Answers of servers that speak OpenAI's language with an accent."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.datatypes import Delta, ToolCall, Usage
from django_wp_ai.providers import openai_wire
from django_wp_ai.providers.openai import OpenAIProvider
from tests.unit.providers.conftest import ask


def test_an_answer_with_only_what_is_needed_is_read() -> None:
    found = openai_wire.choice({"message": {"content": "hi"}})
    assert (found.text, found.finish_reason, found.tool_calls, found.refusal) == ("hi", "stop", (), None)


def test_a_finish_reason_of_a_servers_own_is_a_natural_end() -> None:
    assert openai_wire.choice({"message": {}, "finish_reason": "eos_token"}).finish_reason == "stop"


def test_tool_calls_without_ids_get_some_and_other_kinds_are_left_out() -> None:
    calls = [{"function": {"name": "f", "arguments": "{}"}}, {"type": "custom", "custom": {}}]
    found = openai_wire.choice({"message": {"content": None, "tool_calls": calls}, "finish_reason": "tool_calls"})
    assert found.tool_calls == (ToolCall("call_0", "f", "{}"),)


def test_a_chunk_without_a_delta_adds_nothing() -> None:
    assert openai_wire.deltas({"choices": [{"index": 0}]}) == []
    assert openai_wire.deltas({"choices": []}) == []
    assert openai_wire.deltas({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]})[0].tool_call
    assert openai_wire.deltas({"choices": [{"index": 1, "delta": {"content": "a"}}]}) == [Delta("a", 1)]


@pytest.mark.parametrize("content", [["a"], {"a": 1}, 5])
def test_content_that_is_no_text_is_unreadable(content: Any) -> None:
    with pytest.raises(TypeError):
        openai_wire.choice({"message": {"content": content}})
    with pytest.raises(TypeError):
        openai_wire.deltas({"choices": [{"index": 0, "delta": {"content": content}}]})


@pytest.mark.parametrize(
    "usage",
    [Usage(-1, 2), Usage(1, 2**31), Usage("12", 5), Usage(1, 2, cached_input_tokens=1.5)],  # type: ignore[arg-type]  # what a server may send
)
def test_usage_that_can_not_be_is_not_believed(usage: Usage) -> None:
    assert OpenAIProvider("local", {}).reported(usage) is None


def test_an_estimate_counts_every_part_of_a_request() -> None:
    provider = OpenAIProvider("local", {})
    short, long = provider.estimate(ask("hi"), "yes"), provider.estimate(ask("hi " * 100), "yes " * 100)
    assert short.estimated
    assert long.input_tokens > short.input_tokens > 0
    assert long.output_tokens > short.output_tokens > 0
