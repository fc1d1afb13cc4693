"""Anthropic's shape: what its clients ask for reaches the vendor, what it answers comes back in their words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import Site
from tests.api.test_compatible import CLAUDE_WEATHER, COMPLETIONS, MESSAGES, PIXEL, completion, message, streamed
from tests.vendor.running import RunningVendor


def test_a_message_is_answered_and_its_usage_leaves_the_cached_tokens_out(site: Site) -> None:
    reply = site.post(MESSAGES, message("Hi [[say=hello]] [[usage=100,50,cached=64,cache_write=6]]")).json()

    assert reply["id"] == f"msg_{site.usage()[0].call_id.hex}"
    assert (reply["type"], reply["role"], reply["stop_reason"]) == ("message", "assistant", "end_turn")
    assert reply["content"] == [{"type": "text", "text": "hello"}]
    assert reply["usage"] == {
        "input_tokens": 30,
        "output_tokens": 50,
        "cache_read_input_tokens": 64,
        "cache_creation_input_tokens": 6,
    }


def test_a_streamed_message_has_anthropics_events_in_their_order(site: Site) -> None:
    text = 'Go [[say=so be it]] [[tool=get_weather {"city":"Paris"}]]'
    found = streamed(site, MESSAGES, message(text, tools=[CLAUDE_WEATHER]))

    assert [event.name for event in found] == [event.data["type"] for event in found]
    names = [event.name for event in found if event.name != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert names == ["message_start", *block, *block, "message_delta", "message_stop"]
    starts = [event.data for event in found if event.name == "content_block_start"]
    assert [(start["index"], start["content_block"]["type"]) for start in starts] == [(0, "text"), (1, "tool_use")]
    pieces = [event.data["delta"].get("partial_json", "") for event in found if event.name == "content_block_delta"]
    assert json.loads("".join(pieces)) == {"city": "Paris"}
    assert found[-2].data["delta"]["stop_reason"] == "tool_use"
    assert found[-2].data["usage"]["output_tokens"] == site.usage()[0].output_tokens > 0


@pytest.mark.parametrize("choice", [{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "get_weather"}])
def test_each_form_of_anthropics_tool_choice_calls_the_tool(
    site: Site, vendor: RunningVendor, choice: dict[str, Any]
) -> None:
    choice = {**choice, "disable_parallel_tool_use": True}
    body = message("Weather? [[tool=get_weather {}]]", tools=[CLAUDE_WEATHER], tool_choice=choice)
    reply = site.post(MESSAGES, body).json()

    assert vendor.last.body["tool_choice"] == choice
    assert reply["stop_reason"] == "tool_use"
    assert reply["content"][0]["input"] == {}


def test_images_and_system_blocks_reach_the_vendor(site: Site, vendor: RunningVendor) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
    body = message("", system=[{"type": "text", "text": "Be kind."}], messages=[{"role": "user", "content": content}])
    assert site.post(MESSAGES, body).status_code == 200

    sent = vendor.last.body
    assert "Be kind." in json.dumps(sent["system"])
    assert [part["source"] for part in sent["messages"][0]["content"] if part["type"] == "image"] == [source]


def test_a_claude_model_is_reached_through_openais_shape_and_the_other_way_round(site: Site) -> None:
    reply = site.post(COMPLETIONS, completion("Hi [[say=hello]]", model="claude-haiku-4-5")).json()
    assert reply["choices"][0]["message"]["content"] == "hello"
    reply = site.post(MESSAGES, message("Hi [[say=hello]]", model="gpt-4o-mini")).json()
    assert reply["content"] == [{"type": "text", "text": "hello"}]
    assert [row.provider for row in site.usage()] == ["anthropic", "openai"]
