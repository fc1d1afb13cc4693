"""What is sent to each vendor, and how its answers are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_wp_ai.datatypes import (
    ChatRequest,
    ImagePart,
    Message,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
    Usage,
)
from django_wp_ai.exceptions import ProviderRefused
from django_wp_ai.providers.base import Provider
from tests.unit.providers.conftest import MODELS, ask, collect, say
from tests.vendor.answers import IMAGE_TOKENS
from tests.vendor.running import RunningVendor

PNG = "data:image/png;base64,iVBORw0KGgo="
TOOL = Tool("look_up", "Looks up", {"properties": {"q": {"type": "string"}}}, strict=True)
OPEN_SCHEMA = {"type": "object", "properties": {"inner": {"type": "object", "properties": {}}}, "required": ["inner"]}


@pytest.fixture
def send(build: Callable[..., Provider], vendor: RunningVendor) -> Callable[..., Any]:
    """Sends a request to a vendor and gives back the body that arrived there."""

    async def send(kind: str, request: ChatRequest, model: str = "", **options: Any) -> dict[str, Any]:
        await build(kind, **options).chat(request, model=model or MODELS[kind])
        body: dict[str, Any] = vendor.last.body
        return body

    return send


@pytest.mark.parametrize("stream", [False, True])
async def test_usage_counts_cached_and_reasoning_tokens_inside_the_totals(
    provider: Provider, model: str, stream: bool
) -> None:
    request = ask("[[usage=120,45,cached=64,cache_write=10,reasoning=8]]")
    if stream:
        usage = (await collect(provider, request, model))[-1].usage
    else:
        usage = (await provider.chat(request, model=model)).usage
    assert usage == Usage(120, 45, 64, 10, 8)


async def test_usage_that_a_vendor_leaves_out_is_estimated_and_flagged(build: Callable[..., Provider]) -> None:
    deltas = await collect(build("openai"), ask("[[no_usage chunks=8]]"), MODELS["openai"])
    usage = deltas[-1].usage
    assert usage is not None
    assert usage.estimated
    assert usage.output_tokens > 0
    assert usage.input_tokens > 0


@pytest.mark.parametrize("finish", ["stop", "length", "content_filter"])
async def test_finish_reasons_of_both_vendors_get_our_names(provider: Provider, model: str, finish: str) -> None:
    request = ask(f"[[finish={finish}]] hello")
    assert (await provider.chat(request, model=model)).choices[0].finish_reason == finish
    deltas = await collect(provider, request, model)
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == [finish]


async def test_a_refusal_is_kept_apart_from_the_answer(build: Callable[..., Provider]) -> None:
    result = await build("openai").chat(ask("[[refusal]]"), model=MODELS["openai"])
    assert (result.choices[0].text, result.choices[0].refusal) == ("", "I can't help with that.")
    deltas = await collect(build("openai"), ask("[[refusal]]"), MODELS["openai"])
    assert "".join(delta.refusal for delta in deltas) == "I can't help with that."
    result = await build("anthropic").chat(ask("[[refusal]] no"), model=MODELS["anthropic"])
    assert result.choices[0].finish_reason == "content_filter"


@pytest.mark.parametrize("url", ["https://example.org/a.png", PNG])
async def test_images_by_https_and_data_url_reach_the_vendor(provider: Provider, model: str, url: str) -> None:
    request = ask(Message("user", (TextPart("look at"), ImagePart(url))))
    assert (await provider.chat(request, model=model)).usage.input_tokens == 2 + IMAGE_TOKENS


@pytest.mark.parametrize(
    "url", ["ftp://example.org/a.png", "data:text/html;base64,aGk=", "data:image/png;base64,", "x"]
)
async def test_an_image_that_is_neither_is_refused(provider: Provider, model: str, url: str) -> None:
    with pytest.raises(ProviderRefused):
        await provider.chat(ask(Message("user", (TextPart("look"), ImagePart(url)))), model=model)


async def test_results_of_parallel_tool_calls_are_all_answered(provider: Provider, model: str) -> None:
    request = ask(
        "[[tool=look_up {}]] [[tool=look_up {}]] hi", tools=(TOOL,), tool_choice=ToolChoice("auto", None, True)
    )
    calls = (await provider.chat(request, model=model)).choices[0].tool_calls
    assert len(calls) == 2
    results = [say("tool", f"result {n}", tool_call_id=c.id, is_error=n == 1) for n, c in enumerate(calls)]
    request = ask("hi", say("assistant", "", tool_calls=calls), *results, "and now?", tools=(TOOL,))
    assert (await provider.chat(request, model=model)).choices[0].text
    deltas = await collect(provider, ask("[[tool=look_up {}]] [[tool=look_up {}]]", tools=(TOOL,)), model)
    assert {delta.tool_call.index for delta in deltas if delta.tool_call} == {0, 1}


async def test_anthropic_gets_tool_results_as_one_turn_with_their_errors(send: Callable[..., Any]) -> None:
    calls = (ToolCall("a", "look_up", "{}"), ToolCall("b", "look_up", ""))
    request = ask(
        "hi",
        say("assistant", "Looking.", tool_calls=calls),
        say("tool", "found", tool_call_id="a"),
        say("tool", "", tool_call_id="b", is_error=True),
        "thanks",
        tools=(TOOL,),
    )
    body = await send("anthropic", request)
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert body["messages"][1]["content"] == [
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "a", "name": "look_up", "input": {}},
        {"type": "tool_use", "id": "b", "name": "look_up", "input": {}},
    ]
    assert body["messages"][2]["content"] == [
        {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "found"}]},
        {"type": "tool_result", "tool_use_id": "b", "is_error": True},
        {"type": "text", "text": "thanks"},
    ]


async def test_openai_says_of_a_failed_tool_that_it_failed(send: Callable[..., Any]) -> None:
    request = ask(
        "hi",
        say("assistant", "", tool_calls=(ToolCall("a", "look_up", "{}"),)),
        say("tool", "no network", tool_call_id="a", is_error=True),
    )
    body = await send("openai", request)
    assert body["messages"][1]["content"] is None
    assert body["messages"][2] == {"role": "tool", "tool_call_id": "a", "content": "Error: no network"}


async def test_system_messages_go_to_their_place(send: Callable[..., Any]) -> None:
    request = ask(say("system", "Be kind."), "hi", say("system", "Be short."))
    body = await send("anthropic", request)
    assert body["system"] == "Be kind.\n\nBe short."
    assert [turn["role"] for turn in body["messages"]] == ["user"]
    body = await send("openai", request)
    assert [message["role"] for message in body["messages"]] == ["system", "user", "system"]


async def test_anthropic_gets_what_it_accepts_of_odd_conversations(
    send: Callable[..., Any], build: Callable[..., Provider]
) -> None:
    odd = ask("one", "two", say("assistant", ""), say("assistant", "Then  "))
    body = await send("anthropic", odd)
    assert [(turn["role"], [block["text"] for block in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["one", "two"]),
        ("assistant", ["Then"]),
    ]
    for request in (ask(say("system", "only")), ask(" ")):
        with pytest.raises(ProviderRefused, match="at least one message"):
            await build("anthropic").chat(request, model=MODELS["anthropic"])
    for arguments in ("[1]", "{broken"):
        call = say("assistant", "", tool_calls=(ToolCall("a", "look_up", arguments),))
        with pytest.raises(ProviderRefused, match="JSON object"):
            await build("anthropic").chat(ask("x", call), model=MODELS["anthropic"])


async def test_every_tool_choice_has_each_vendors_name(send: Callable[..., Any]) -> None:
    def request(kind: Any, name: str | None = None, parallel: bool | None = None) -> ChatRequest:
        return ask("x", tools=(TOOL,), tool_choice=ToolChoice(kind, name, parallel))

    assert (await send("openai", request("none")))["tool_choice"] == "none"
    body = await send("openai", request("function", "look_up", parallel=False))
    assert body["tool_choice"] == {"type": "function", "function": {"name": "look_up"}}
    assert body["parallel_tool_calls"] is False
    assert body["tools"][0]["function"]["strict"] is True
    assert body["tools"][0]["function"]["parameters"]["type"] == "object"
    assert (await send("anthropic", request("none", parallel=True)))["tool_choice"] == {"type": "none"}
    assert (await send("anthropic", request("required")))["tool_choice"] == {"type": "any"}
    body = await send("anthropic", request("function", "look_up", parallel=False))
    assert body["tool_choice"] == {"type": "tool", "name": "look_up", "disable_parallel_tool_use": True}
    assert body["tools"][0]["strict"] is True
    assert body["tools"][0]["input_schema"]["additionalProperties"] is False


async def test_a_tool_choice_of_auto_without_tools_is_not_sent(send: Callable[..., Any], kind: str) -> None:
    assert "tool_choice" not in await send(kind, ask("x", tool_choice=ToolChoice("auto", None, True)))


async def test_a_schema_is_wrapped_for_openai_and_closed_for_anthropic(send: Callable[..., Any]) -> None:
    request = ask("x", response_format=ResponseFormat("json_schema", OPEN_SCHEMA, "my answer!"))
    body = await send("openai", request)
    assert body["response_format"]["json_schema"] == {"name": "my_answer_", "schema": OPEN_SCHEMA}
    sent = (await send("anthropic", request))["output_config"]["format"]["schema"]
    assert sent["additionalProperties"] is False
    assert sent["properties"]["inner"]["additionalProperties"] is False


async def test_closing_a_schema_leaves_names_and_data_alone(send: Callable[..., Any]) -> None:
    tricky = {
        "type": "object",
        "properties": {
            "properties": {"type": "string", "enum": ["type", "object"]},
            "list": {"type": "array", "items": {"type": "object", "properties": {}}},
            "either": {"anyOf": [{"type": "object", "properties": {}}, {"type": "null"}]},
        },
    }
    body = await send("anthropic", ask("x", response_format=ResponseFormat("json_schema", tricky)))
    sent = body["output_config"]["format"]["schema"]
    assert set(sent["properties"]) == {"properties", "list", "either"}
    assert sent["properties"]["properties"] == {"type": "string", "enum": ["type", "object"]}
    assert sent["properties"]["list"]["items"]["additionalProperties"] is False
    assert sent["properties"]["either"]["anyOf"][0]["additionalProperties"] is False


async def test_json_without_a_schema_is_asked_for_in_words(send: Callable[..., Any]) -> None:
    request = ask("name a colour", response_format=ResponseFormat("json_object"))
    assert "JSON" in (await send("openai", request))["messages"][0]["content"]
    assert "JSON" in (await send("anthropic", request))["system"]
    body = await send("openai", ask("answer in json", response_format=ResponseFormat("json_object")))
    assert len(body["messages"]) == 1
    assert "response_format" not in await send("openai", ask("x", response_format=ResponseFormat("text")))


async def test_parameters_have_each_vendors_name_and_range(send: Callable[..., Any]) -> None:
    request = ask("x", temperature=1.7, top_p=0.5, max_tokens=9, stop=("END",), seed=4, reasoning_effort="minimal")
    body = await send("openai", request, "gpt-4o")
    wanted = {"temperature": 1.7, "top_p": 0.5, "max_tokens": 9, "stop": ["END"], "seed": 4}
    assert body.items() >= wanted.items()
    assert body["reasoning_effort"] == "minimal"
    body = await send("anthropic", request)
    assert body["temperature"] == 1
    assert "top_p" not in body
    assert "seed" not in body
    assert body["stop_sequences"] == ["END"]
    assert body["output_config"] == {"effort": "low"}
    assert (await send("anthropic", ask("x", top_p=0.5)))["top_p"] == 0.5


async def test_an_effort_that_anthropic_has_no_word_for_is_refused(
    build: Callable[..., Provider], send: Callable[..., Any]
) -> None:
    with pytest.raises(ProviderRefused, match="reasoning_effort"):
        await build("anthropic").chat(ask("x", reasoning_effort="huge"), model=MODELS["anthropic"])
    assert "output_config" not in await send("anthropic", ask("x", reasoning_effort="none"))


async def test_anthropic_always_gets_a_limit(send: Callable[..., Any], settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "DEFAULT_MAX_TOKENS": 77}
    assert (await send("anthropic", ask("x")))["max_tokens"] == 77


async def test_models_that_refuse_sampling_parameters_do_not_get_them(send: Callable[..., Any]) -> None:
    request = ask("x", temperature=0.2, top_p=0.9)
    for kind, model in (("openai", "gpt-5-mini"), ("anthropic", "claude-sonnet-5-5"), ("anthropic", "claude-opus-4-7")):
        body = (
            await send(kind, request, model, max_tokens_field="max_tokens")
            if kind == "openai"
            else await send(kind, request, model)
        )
        assert not {"temperature", "top_p"} & set(body)
    assert "temperature" in await send("anthropic", request, "claude-opus-4-6")
    assert "temperature" in await send("openai", request, "gpt-5-mini", no_sampling_models=[])


async def test_several_candidates_are_read_apart_and_only_openai_gives_them(build: Callable[..., Provider]) -> None:
    request = ask("one two", n=2)
    result = await build("openai").chat(request, model="gpt-4o")
    assert [choice.text for choice in result.choices] == ["You said: one two"] * 2
    deltas = await collect(build("openai"), request, "gpt-4o")
    for index in range(2):
        assert "".join(delta.text for delta in deltas if delta.choice == index) == "You said: one two"
    with pytest.raises(ProviderRefused, match="n must be 1"):
        await build("anthropic").chat(request, model=MODELS["anthropic"])


async def test_openai_tool_results_take_no_images(build: Callable[..., Provider], send: Callable[..., Any]) -> None:
    call = say("assistant", "", tool_calls=(ToolCall("a", "look_up", "{}"),))
    result = Message("tool", (ImagePart(PNG),), tool_call_id="a")
    with pytest.raises(ProviderRefused, match="no images in tool results"):
        await build("openai").chat(ask("x", call, result), model="gpt-4o")


async def test_names_and_image_details_are_passed_to_openai(send: Callable[..., Any]) -> None:
    message = Message("user", (TextPart("look"), ImagePart(PNG, "low")), name="ann")
    body = await send("openai", ask(message))
    assert body["messages"][0]["name"] == "ann"
    assert body["messages"][0]["content"][1] == {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}


async def test_embeddings_come_in_the_order_of_the_texts(build: Callable[..., Provider], vendor: RunningVendor) -> None:
    provider = build("openai")
    result = await provider.embed(["red apple", "blue sky", "red apple"], model="text-embedding-3-small", dimensions=64)
    assert result.vectors[0] == result.vectors[2] != result.vectors[1]
    assert {len(vector) for vector in result.vectors} == {64}
    assert result.usage == Usage(input_tokens=6)
    assert vendor.last.body["dimensions"] == 64
    result = await provider.embed(["one"], model="text-embedding-3-small")
    assert len(result.vectors[0]) == 1536


async def test_unreadable_embeddings_are_an_error_that_is_charged(build: Callable[..., Provider]) -> None:
    from django_wp_ai.exceptions import ProviderError

    for text in ("[[garbage]]", "[[garbage=shape]]"):
        with pytest.raises(ProviderError) as caught:
            await build("openai").embed([text], model="text-embedding-3-small")
        assert caught.value.charged


async def test_a_provider_without_embeddings_says_so(build: Callable[..., Provider]) -> None:
    with pytest.raises(NotImplementedError):
        await build("anthropic").embed(["x"], model="m")
