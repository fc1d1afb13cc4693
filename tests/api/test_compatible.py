"""The vendors' own shapes: what they ask for reaches the vendor, what it answers comes back in their words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.conftest import Event, Site, body_of, events
from tests.vendor.running import RunningVendor

COMPLETIONS, MESSAGES = "v1/chat/completions", "v1/messages"
CITY = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
WEATHER = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
CLAUDE_WEATHER = {"name": "get_weather", "input_schema": {"type": "object"}}
PIXEL = "iVBORw0KGgo="


def completion(text: str, **fields: Any) -> dict[str, Any]:
    return {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **fields}


def message(text: str, **fields: Any) -> dict[str, Any]:
    user = {"role": "user", "content": text}
    return {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": [user], **fields}


def streamed(site: Site, path: str, body: dict[str, Any]) -> list[Event]:
    response = site.post(path, {**body, "stream": True})
    assert response.status_code == 200, response.content
    return events(body_of(response))


def test_several_choices_come_back_whole_and_streamed(site: Site) -> None:
    whole = site.post(COMPLETIONS, completion("Hi [[say=one two]]", n=2)).json()
    assert [(choice["index"], choice["message"]["content"]) for choice in whole["choices"]] == [
        (0, "one two"),
        (1, "one two"),
    ]
    chunks = [event.data for event in streamed(site, COMPLETIONS, completion("Hi [[say=one two]]", n=2))[:-1]]
    for index in (0, 1):
        mine = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        assert mine[0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
        assert "".join(choice["delta"].get("content") or "" for choice in mine) == "one two"
        assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]


def test_usage_has_cached_and_reasoning_tokens_and_is_streamed_only_when_asked_for(site: Site) -> None:
    asked = completion("Hi [[usage=100,50,cached=64,reasoning=8]]")
    expected = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "prompt_tokens_details": {"cached_tokens": 64},
        "completion_tokens_details": {"reasoning_tokens": 8},
    }
    assert site.post(COMPLETIONS, asked).json()["usage"] == expected
    *chunks, last, done = streamed(site, COMPLETIONS, {**asked, "stream_options": {"include_usage": True}})
    assert done.data == "[DONE]"
    assert (last.data["usage"], last.data["choices"]) == (expected, [])
    assert {chunk.data["usage"] for chunk in chunks} == {None}
    assert not any("usage" in chunk.data for chunk in streamed(site, COMPLETIONS, asked)[:-1])
    assert [(row.cached_input_tokens, row.reasoning_tokens) for row in site.usage()] == [(64, 8)] * 3


def test_chunks_share_id_model_and_time(site: Site) -> None:
    chunks = [event.data for event in streamed(site, COMPLETIONS, completion("Hi [[chunks=3]]"))[:-1]]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["model"], chunk["created"]) for chunk in chunks}) == 1
    assert chunks[0]["id"] == f"chatcmpl-{site.usage()[0].call_id.hex}"


@pytest.mark.parametrize(
    ("schema", "name"), [({"name": "city", "schema": CITY}, "city"), ({"schema": CITY}, "response"), (CITY, "response")]
)
def test_a_schema_is_taken_with_and_without_its_wrapper(
    site: Site, vendor: RunningVendor, schema: dict[str, Any], name: str
) -> None:
    wished = {"type": "json_schema", "json_schema": schema}
    reply = site.post(COMPLETIONS, completion("A city", response_format=wished)).json()

    assert vendor.last.body["response_format"]["json_schema"] == {"name": name, "schema": CITY}
    assert json.loads(reply["choices"][0]["message"]["content"]) == {"name": "text"}


@pytest.mark.parametrize("kind", ["text", "json_object"])
def test_plain_formats_are_taken(site: Site, kind: str) -> None:
    reply = site.post(COMPLETIONS, completion("Some json", response_format={"type": kind})).json()
    assert reply["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("choice", "calls"),
    [
        (None, True),
        ("auto", True),
        ("required", True),
        ("none", False),
        ({"type": "function", "function": {"name": "get_weather"}}, True),
    ],
)
def test_each_form_of_tool_choice_reaches_the_vendor(
    site: Site, vendor: RunningVendor, choice: Any, calls: bool
) -> None:
    body = completion(
        "Weather? [[tool=get_weather {}]]", tools=[WEATHER], tool_choice=choice, parallel_tool_calls=False
    )
    reply = site.post(COMPLETIONS, body).json()["choices"][0]

    assert vendor.last.body["parallel_tool_calls"] is False
    assert vendor.last.body["tool_choice"] == (choice or "auto")
    assert bool(reply["message"].get("tool_calls")) is calls
    assert reply["finish_reason"] == ("tool_calls" if calls else "stop")
    if calls:
        assert reply["message"]["content"] is None


def test_several_tool_calls_are_streamed_in_pieces_by_index(site: Site) -> None:
    text = 'Go [[tool=get_weather {"city":"Paris"}]] [[tool=get_weather {"city":"Rome"}]]'
    chunks = [event.data for event in streamed(site, COMPLETIONS, completion(text, tools=[WEATHER]))[:-1]]
    calls: dict[int, str] = {}
    heads = []
    for piece in (
        piece for chunk in chunks for choice in chunk["choices"] for piece in choice["delta"].get("tool_calls", ())
    ):
        calls[piece["index"]] = calls.get(piece["index"], "") + piece["function"]["arguments"]
        heads += [piece["function"]["name"]] if piece.get("id") else []
    assert [json.loads(arguments) for arguments in calls.values()] == [{"city": "Paris"}, {"city": "Rome"}]
    assert heads == ["get_weather", "get_weather"]


def test_what_is_asked_for_reaches_the_vendor(site: Site, vendor: RunningVendor) -> None:
    fields = {"temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 33, "stop": ["END"], "seed": 7}
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
    ]
    body = completion(
        "", **fields, messages=[{"role": "developer", "content": "Rule"}, {"role": "user", "content": parts}]
    )
    assert site.post(COMPLETIONS, body).status_code == 200

    sent = vendor.last.body
    assert {name: sent[name] for name in ("temperature", "top_p", "stop", "seed")} == {
        name: fields[name] for name in ("temperature", "top_p", "stop", "seed")
    }
    assert 33 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))
    assert sent["messages"][0]["content"] == "Rule"
    assert sent["messages"][1]["content"] == parts


@pytest.mark.parametrize(
    ("directive", "fields", "openais", "anthropics"),
    [
        ("[[chunks=9]]", {"max_tokens": 2}, "length", "max_tokens"),
        ("[[finish=content_filter say=x]]", {}, None, None),
        ("[[say=one STOP two]]", {}, "stop", "end_turn"),
    ],
)
def test_finish_reasons_are_each_familys_own(
    site: Site, directive: str, fields: dict[str, Any], openais: str | None, anthropics: str | None
) -> None:
    if openais is None:
        reply = site.post(COMPLETIONS, completion("Hi [[finish=content_filter]]")).json()
        assert reply["choices"][0]["finish_reason"] == "content_filter"
        return
    stop = {"stop": "STOP"} if "STOP" in directive else {}
    stops = {"stop_sequences": ["STOP"]} if "STOP" in directive else {}
    reply = site.post(COMPLETIONS, completion(f"Hi {directive}", **fields, **stop)).json()
    assert reply["choices"][0]["finish_reason"] == openais
    reply = site.post(MESSAGES, message(f"Hi {directive}", **fields, **stops)).json()
    assert reply["stop_reason"] == anthropics


def test_a_refusal_is_told_in_each_familys_way(site: Site) -> None:
    whole = site.post(COMPLETIONS, completion("Bad [[refusal]]")).json()["choices"][0]["message"]
    assert (whole["content"], whole["refusal"]) == (None, "I can't help with that.")
    chunks = [event.data for event in streamed(site, COMPLETIONS, completion("Bad [[refusal]]"))[:-1]]
    said = "".join(choice["delta"].get("refusal") or "" for chunk in chunks for choice in chunk["choices"])
    assert said == "I can't help with that."
    assert site.post(MESSAGES, message("Bad [[refusal]]")).json()["stop_reason"] == "refusal"
    assert site.post("v1/chat", {"prompt": "Bad [[refusal]]"}).json()["content"] == "I can't help with that."


# Breaks in the middle


@pytest.mark.parametrize("broken", ["cut_after=2", "error_after=2", "end_after=2"])
def test_a_break_in_the_middle_is_each_familys_error_event(site: Site, broken: str) -> None:
    last = streamed(site, COMPLETIONS, completion(f"Hi [[chunks=5 {broken}]]"))[-1]
    assert set(last.data) == {"error"}
    assert last.data["error"]["code"] in ("provider_error", "provider_unavailable")
    last = streamed(site, MESSAGES, message(f"Hi [[chunks=5 {broken}]]"))[-1]
    assert last.name == "error"
    assert last.data["type"] == "error"
    assert last.data["error"]["type"] in ("api_error", "overloaded_error")
    for row in site.usage():
        assert row.cost_usd
        assert row.error_code


# Models


def test_models_are_listed_in_each_familys_shape(site: Site) -> None:
    openais = site.get("v1/models").json()
    assert openais["object"] == "list"
    assert {entry["object"] for entry in openais["data"]} == {"model"}
    fast = next(entry for entry in openais["data"] if entry["id"] == "fast")
    assert fast["owned_by"] == "openai"
    assert fast["capabilities"]["images"] is True
    versioned = {**site.auth, "anthropic-version": "2023-06-01"}
    anthropics = site.get("v1/models", headers=versioned).json()
    ids = [entry["id"] for entry in anthropics["data"]]
    assert ids == [entry["id"] for entry in openais["data"]]
    assert (anthropics["has_more"], anthropics["first_id"], anthropics["last_id"]) == (False, ids[0], ids[-1])
    assert site.get("v1/models/fast", headers=versioned).json()["type"] == "model"
    assert len(ids) == len(set(ids))
    assert not any(mark in name for name in ids for mark in "*?[")


def test_a_site_that_may_use_nothing_sees_an_empty_list(site: Site) -> None:
    site.tenant.allowed_models = ["nothing"]
    site.tenant.save()
    assert site.get("v1/models").json()["data"] == []
    empty = site.get("v1/models", headers={**site.auth, "anthropic-version": "2023-06-01"}).json()
    assert (empty["first_id"], empty["last_id"]) == (None, None)
