"""What every provider must do, whoever answers: whole, streamed, with tools, schemas, limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from django_wp_ai.datatypes import ChatRequest, ResponseFormat, Tool, ToolCall, ToolChoice, Usage
from django_wp_ai.exceptions import ProviderRefused
from django_wp_ai.providers.base import Provider
from tests.unit.providers.conftest import HOSTED, MODELS, ask, collect, make, say
from tests.vendor.running import RunningVendor

WEATHER = Tool("get_weather", "Weather of a city", {"type": "object", "properties": {"city": {"type": "string"}}})
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer", "minimum": 1},
        "mood": {"enum": ["happy", "sad"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "adult": {"type": "boolean"},
    },
    "required": ["name", "age", "mood", "tags", "adult"],
    "additionalProperties": False,
}


@pytest.fixture(params=[*HOSTED, "offline"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_whole_answer_has_text_a_finish_reason_and_usage(provider: Provider, model: str) -> None:
    result = await provider.chat(ask("What is a widget?"), model=model)
    (choice,) = result.choices
    assert choice.text
    assert choice.finish_reason == "stop"
    assert result.model == model
    assert result.usage.input_tokens > 0
    assert result.usage.output_tokens > 0
    assert not result.usage.estimated


async def test_a_stream_says_the_same_as_a_whole_answer_in_the_same_tokens(provider: Provider, model: str) -> None:
    request = ask("What is a widget? A widget is a small block in a sidebar.")
    whole = await provider.chat(request, model=model)
    deltas = await collect(provider, request, model)
    assert "".join(delta.text for delta in deltas) == whole.choices[0].text
    assert len([delta for delta in deltas if delta.text]) > 3
    assert deltas[-1].usage == whole.usage
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert [delta.usage for delta in deltas[:-1]] == [None] * (len(deltas) - 1)


async def test_max_tokens_cuts_the_answer_with_finish_reason_length(provider: Provider, model: str) -> None:
    request = ask("one two three four five six", max_tokens=3)
    result = await provider.chat(request, model=model)
    assert result.choices[0].finish_reason == "length"
    assert result.usage.output_tokens == 3
    deltas = await collect(provider, request, model)
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["length"]


async def test_a_stop_sequence_ends_the_answer_before_itself(provider: Provider, model: str) -> None:
    full = (await provider.chat(ask("alpha beta gamma delta"), model=model)).choices[0].text
    word = full.split()[2]
    result = await provider.chat(ask("alpha beta gamma delta", stop=(word,)), model=model)
    assert result.choices[0].text.strip() == full.split(word, 1)[0].strip()
    assert result.choices[0].finish_reason == "stop"


async def test_a_json_schema_is_answered_with_a_conforming_object(provider: Provider, model: str) -> None:
    request = ask("Name: Ann, age: 41, happy", response_format=ResponseFormat("json_schema", PERSON, "person", True))
    for text in (
        (await provider.chat(request, model=model)).choices[0].text,
        "".join(delta.text for delta in await collect(provider, request, model)),
    ):
        person = json.loads(text)
        assert set(person) == set(PERSON["required"])
        assert isinstance(person["name"], str)
        assert isinstance(person["age"], int)
        assert person["mood"] in {"happy", "sad"}
        assert all(isinstance(tag, str) for tag in person["tags"])
        assert isinstance(person["adult"], bool)


async def test_a_schema_wish_without_a_schema_is_refused(provider: Provider, model: str, kind: str) -> None:
    request = ask("x", response_format=ResponseFormat("json_schema"))
    with pytest.raises(ProviderRefused):
        await provider.chat(request, model=model)


async def test_a_forced_tool_is_called_and_its_result_is_answered_with(provider: Provider, model: str) -> None:
    question = say("user", 'Weather in Paris, city: Paris [[tool=get_weather {"city": "Paris"}]]')
    choice = ToolChoice("function", "get_weather")
    asked = ask(question, tools=(WEATHER,), tool_choice=choice)
    result = await provider.chat(asked, model=model)
    (call,) = result.choices[0].tool_calls
    assert result.choices[0].finish_reason == "tool_calls"
    assert call.name == "get_weather"
    assert isinstance(json.loads(call.arguments)["city"], str)

    answered = ask(
        question,
        say("assistant", "", tool_calls=(call,)),
        say("tool", "22 degrees", tool_call_id=call.id),
        tools=(WEATHER,),
    )
    result = await provider.chat(answered, model=model)
    assert "22 degrees" in result.choices[0].text
    assert result.choices[0].tool_calls == ()
    assert result.choices[0].finish_reason == "stop"


async def test_a_streamed_tool_call_has_its_id_and_name_first_and_its_arguments_in_order(
    provider: Provider, model: str
) -> None:
    question = 'city: Paris [[tool=get_weather {"city": "Paris, \\u00cele-de-France"}]]'
    request = ask(question, tools=(WEATHER,), tool_choice=ToolChoice("required"))
    deltas = await collect(provider, request, model)
    pieces = [delta.tool_call for delta in deltas if delta.tool_call]
    assert pieces[0].name == "get_weather"
    assert pieces[0].id
    assert {piece.index for piece in pieces} == {0}
    assert "Paris" in json.loads("".join(piece.arguments for piece in pieces))["city"]
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["tool_calls"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ask("x", tool_choice=ToolChoice("required")), "needs tools"),
        (ask("x", tool_choice=ToolChoice("function", "other"), tools=(WEATHER,)), "not among"),
    ],
)
async def test_a_tool_choice_that_names_no_given_tool_is_refused_before_sending(
    provider: Provider, model: str, vendor: RunningVendor, request_: ChatRequest, words: str
) -> None:
    with pytest.raises(ProviderRefused, match=words):
        await provider.chat(request_, model=model)
    assert vendor.requests == []


async def test_many_calls_at_once_each_get_their_own_answer(provider: Provider, model: str) -> None:
    async def one(number: int) -> str:
        request = ask(f"Is number{number} here? The number{number} is here.")
        if number % 2:
            return "".join(delta.text for delta in await collect(provider, request, model))
        return (await provider.chat(request, model=model)).choices[0].text

    answers = await asyncio.gather(*(one(number) for number in range(40)))
    assert [f"number{number}" in answer for number, answer in enumerate(answers)] == [True] * 40


def test_two_event_loops_one_after_the_other_are_served(kind: str, model: str, vendor: RunningVendor) -> None:
    provider = make(kind, vendor)

    async def one() -> Usage:
        try:
            return (await provider.chat(ask("hello there"), model=model)).usage
        finally:
            await provider.aclose()

    assert asyncio.run(one()) == asyncio.run(one())


async def test_every_word_streamed_lets_other_tasks_run(provider: Provider, model: str) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    deltas = await collect(provider, ask("one two three four"), model)
    task.cancel()
    assert turns >= len([delta for delta in deltas if delta.text])


def test_each_provider_lists_models_it_serves_and_says_what_it_can(
    kind: str, vendor: RunningVendor, build: Callable[..., Provider]
) -> None:
    provider = build(kind)
    assert provider.default_model in provider.listed_models()
    assert all(provider.serves(name) for name in provider.listed_models())
    assert provider.serves(MODELS[kind])
    assert not provider.serves("nobody-made-this")
    assert provider.capabilities()["tools"] is True
    assert not provider.missing_key


async def test_the_arguments_of_an_earlier_call_reach_the_vendor_unchanged(
    provider: Provider, model: str, kind: str, vendor: RunningVendor
) -> None:
    call = ToolCall("call_9", "get_weather", '{"city": "Zürich"}')
    request = ask(
        "hi", say("assistant", "", tool_calls=(call,)), say("tool", "ok", tool_call_id="call_9"), tools=(WEATHER,)
    )
    await provider.chat(request, model=model)
    if kind == "openai":
        sent = json.loads(vendor.last.body["messages"][1]["tool_calls"][0]["function"]["arguments"])
        assert sent == {"city": "Zürich"}
    if kind == "anthropic":
        assert vendor.last.body["messages"][1]["content"][0]["input"] == {"city": "Zürich"}
