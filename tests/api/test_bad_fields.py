"""Fields that break a rule: told by name, before anything is written or sent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Site
from tests.api.refusals import BODIES, check_shape, row_counts
from tests.vendor.running import RunningVendor

HI = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CLAUDE_TOOL = {"name": "f", "input_schema": {"type": "object"}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


def image(url: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]}


def asked(call: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [call]}


OPENAI = [
    ({"messages": []}, "messages"),
    ({"messages": "Hi"}, "messages"),
    ({"messages": [HI] * 513}, "messages"),
    ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
    ({"messages": [{"role": "assistant", "content": "only"}]}, "messages"),
    ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": []}]}, "messages.0.content"),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
    ({"messages": [HI, {"role": "assistant", "content": []}]}, "messages.1.content"),
    ({"messages": [{"role": "user", "content": [{"type": "audio"}]}]}, "messages.0.content"),
    ({"messages": [{"role": "system", "content": [image("x")["messages"][0]["content"][0]]}, HI]}, "messages.0"),
    ({"messages": [HI, {"role": "tool", "content": "y"}]}, "messages.1"),
    ({"messages": [HI, {"role": "tool", "content": "y", "tool_call_id": "1"}]}, "messages.1.tool_call_id"),
    ({"messages": [{"role": "user", "content": "x", "tool_calls": [{}]}]}, "messages.0"),
    ({"messages": [HI, asked({"id": "", "function": {"name": "f", "arguments": ""}})]}, "messages.1"),
    ({"messages": [HI, asked({"id": "1", "function": {"name": "f g", "arguments": ""}})]}, "messages.1"),
    ({"messages": [HI, asked({"id": "1", "function": {"name": "f", "arguments": {}}})]}, "messages.1"),
    ({"model": 5}, "model"),
    ({"model": "m" * 129}, "model"),
    ({"n": 0}, "n"),
    ({"n": 9}, "n"),
    ({"n": 129}, "n"),
    ({"n": True}, "n"),
    ({"n": "2"}, "n"),
    ({"temperature": "0.5"}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": 2.1}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 10**30}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"max_tokens": 5, "max_completion_tokens": 6}, ""),
    ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": {"include_usage": True}}, ""),
    ({"stream": True, "stream_options": {"surprise": 1}}, "stream_options.surprise"),
    ({"presence_penalty": 2.5}, "presence_penalty"),
    ({"frequency_penalty": -2.1}, "frequency_penalty"),
    ({"logprobs": True}, "logprobs"),
    ({"store": True}, "store"),
    ({"service_tier": "flex"}, "service_tier"),
    ({"logit_bias": {}}, "logit_bias"),
    ({"functions": []}, "functions"),
    ({"tools": [{"type": "web_search"}]}, "tools.0"),
    ({"tools": [TOOL] * 129}, "tools"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0"),
    ({"tool_choice": "required"}, ""),
    ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}}, ""),
    ({"response_format": {"type": "xml"}}, "response_format"),
    ({"response_format": {"type": "json_schema"}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "name": "a b"}}}, "response_format"),
    ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}, "extra": 1}}}, "response_format"),
    ({"reasoning_effort": "huge"}, "reasoning_effort"),
    ({"user": "u" * 129}, "user"),
    ({"metadata": {"a": 1}}, "metadata"),
    (image("http://example.org/a.png"), "messages.0"),
    (image("file:///etc/passwd"), "messages.0"),
    (image("ftp://example.org/a.png"), "messages.0"),
    (image("https://"), "messages.0"),
    (image("https:///a.png"), "messages.0"),
    (image("https://exam ple.org/a.png"), "messages.0"),
    (image("https://example.org/\r\nX: y"), "messages.0"),
    (image("//example.org/a.png"), "messages.0"),
    (image("data:image/svg+xml;base64,PHN2Zz4="), "messages.0"),
    (image("data:text/html;base64,PHN2Zz4="), "messages.0"),
    (image("data:image/png,raw"), "messages.0"),
    (image("data:image/png;base64,***"), "messages.0"),
    (image(""), "messages.0"),
]


@pytest.mark.parametrize(("change", "field"), OPENAI)
def test_a_wrong_completion_is_told_by_field(
    site: Site, vendor: RunningVendor, change: dict[str, Any], field: str
) -> None:
    before = row_counts()
    response = site.post("v1/chat/completions", {**BODIES["v1/chat/completions"], **change})
    error = check_shape(response, "v1/chat/completions", 422, "invalid")["error"]

    assert (error["param"] or "").startswith(field)
    assert row_counts() == before
    assert not vendor.requests


def block(**content: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [content]}]}


ANTHROPIC = [
    {"messages": []},
    {"messages": [{"role": "system", "content": "x"}]},
    {"messages": [{"role": "assistant", "content": "only"}]},
    {"messages": [{"role": "user", "content": []}]},
    {"messages": [{"role": "user", "content": ""}]},
    {"messages": [HI] * 513},
    {"max_tokens": 0},
    {"max_tokens": None},
    {"max_tokens": "9"},
    {"temperature": 1.5},
    {"top_k": 5},
    {"thinking": {"type": "enabled"}},
    {"model": None},
    {"stop_sequences": ["x"] * 17},
    {"tools": [{"name": "f"}]},
    {"tools": [{"type": "bash_20250124", "name": "bash"}]},
    {"tool_choice": {"type": "any"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "tool", "name": "g"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": {"type": "auto", "name": "f"}},
    {"tools": [CLAUDE_TOOL], "tool_choice": "auto"},
    {"metadata": {"user_id": "u" * 129}},
    {"output_config": {"format": {"type": "json_schema"}}},
    {"service_tier": "priority"},
    block(type="document", source={}),
    block(type="tool_use", id="1", name="f", input={}),
    block(type="tool_result", tool_use_id="never-called", content="x"),
    block(type="image", source={"type": "url", "url": "http://example.org/a.png"}),
    block(type="image", source={"type": "base64", "media_type": "image/svg+xml", "data": "PHN2Zz4="}),
    block(type="image", source={"type": "base64", "media_type": "image/png", "data": "***"}),
    block(type="image", source={"type": "file", "file_id": "x"}),
]


@pytest.mark.parametrize("change", ANTHROPIC)
def test_a_wrong_message_is_refused_in_anthropics_shape(
    site: Site, vendor: RunningVendor, change: dict[str, Any]
) -> None:
    before = row_counts()
    check_shape(site.post("v1/messages", {**BODIES["v1/messages"], **change}), "v1/messages", 422, "invalid")

    assert row_counts() == before
    assert not vendor.requests


@pytest.mark.parametrize("path", ["v1/chat/completions", "v1/messages", "v1/chat", "v1/chat/stream"])
@pytest.mark.parametrize(
    "model", ["no-such-model", "openai:none", "nobody:gpt-4o-mini", "../x", "*", "[a-z]*", "'; --", "\u202e"]
)
def test_an_unknown_model_is_told_in_the_familys_shape(
    site: Site, vendor: RunningVendor, path: str, model: str
) -> None:
    before = row_counts()
    check_shape(site.post(path, {**BODIES[path], "model": model}), path, 400, "model_not_allowed")

    assert row_counts() == before
    assert not vendor.requests


def test_a_giant_data_url_is_too_large_and_a_small_one_goes_to_the_vendor(site: Site, vendor: RunningVendor) -> None:
    giant = {**BODIES["v1/chat/completions"], **image("data:image/png;base64," + "A" * 300_000)}
    check_shape(site.post("v1/chat/completions", giant), "v1/chat/completions", 413, "too_large")
    small = {**BODIES["v1/chat/completions"], **image(PIXEL)}

    assert site.post("v1/chat/completions", small).status_code == 200
    assert vendor.last.body["messages"][0]["content"][0]["image_url"]["url"] == PIXEL


@pytest.mark.parametrize(
    ("query", "field"), [("", "q"), ("q=", "q"), ("q=%00", "q"), (f"q={'x' * 4001}", "q"), ("q=+++", "messages")]
)
def test_a_wrong_question_of_an_event_source_is_told_by_field(site: Site, query: str, field: str) -> None:
    before = row_counts()
    response = site.get(f"v1/chat/stream?{query}")
    problem = check_shape(response, "v1/chat/stream", 422, "invalid")

    assert problem["errors"][0]["field"].startswith(field)
    assert row_counts() == before


def test_neutral_values_of_what_is_not_carried_are_taken(site: Site) -> None:
    neutral = {
        "presence_penalty": 0,
        "frequency_penalty": 0.0,
        "logprobs": False,
        "store": False,
        "service_tier": "auto",
        "n": 1,
        "temperature": 1,
        "stop": None,
    }
    assert site.post("v1/chat/completions", {**BODIES["v1/chat/completions"], **neutral}).status_code == 200
