"""The vendors' own SDKs, with nothing changed but base URL and key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import anthropic
import openai
import pytest
from pydantic import BaseModel

from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import options
from tests.factories import TenantFactory
from tests.servers import running_site
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.django_db(transaction=True)

WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL = 'Weather? [[tool=get_weather {"city":"Paris"}]]'
CLAUDE = "claude-haiku-4-5"


class City(BaseModel):
    name: str
    population: int


@pytest.fixture
def server(vendor: RunningVendor, transactional_db: None) -> Iterator[tuple[str, str]]:
    keys = issue_site_keys(TenantFactory.create())
    with running_site("uvicorn", options(vendor.url)) as url:
        yield url, keys.api_key.secret


@pytest.fixture
def client(server: tuple[str, str]) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server[0]}/wp-ai/v1", api_key=server[1], max_retries=0) as made:
        yield made


@pytest.fixture
def claude(server: tuple[str, str]) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=f"{server[0]}/wp-ai", api_key=server[1], max_retries=0) as made:
        yield made


def test_openais_sdk_chats_streams_calls_tools_and_parses_schemas(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Hi [[say=hello]] [[usage=12,3]]"}]
    )
    assert whole.choices[0].message.content == "hello"
    assert whole.choices[0].finish_reason == "stop"
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (12, 3)

    stream = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=[{"role": "user", "content": "Hi [[chunks=4]]"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "tok1 tok2 tok3 tok4"
    assert chunks[-1].usage is not None
    assert [chunk.usage for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)

    parsed = client.chat.completions.parse(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "A city"}], response_format=City
    )
    assert isinstance(parsed.choices[0].message.parsed, City)


def test_openais_sdk_carries_a_tool_round_trip(client: openai.OpenAI) -> None:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": WEATHER}}]
    question = {"role": "user", "content": CALL}
    first = client.chat.completions.create(model="gpt-4o-mini", messages=[question], tools=tools)  # type: ignore[list-item]
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Paris"}  # type: ignore[union-attr]

    result = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
    history = [question, message.model_dump(exclude_none=True), result]
    second = client.chat.completions.create(model="gpt-4o-mini", messages=history, tools=tools)  # type: ignore[arg-type]
    assert "sunny" in (second.choices[0].message.content or "")

    with client.chat.completions.stream(model="gpt-4o-mini", messages=[question], tools=tools) as stream:  # type: ignore[list-item,arg-type]
        final = stream.get_final_completion()
    assert final.choices[0].message.tool_calls is not None
    assert final.choices[0].message.tool_calls[0].function.name == "get_weather"


def test_openais_sdk_lists_models_and_raises_its_own_error_types(client: openai.OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"gpt-4o-mini", "fast", "offline-extractive"} <= set(listed)
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("nothing")
    ask = {"messages": [{"role": "user", "content": "Hi"}]}
    with pytest.raises(openai.BadRequestError) as unknown:
        client.chat.completions.create(model="no-such-model", **ask)  # type: ignore[call-overload]
    assert unknown.value.code == "model_not_allowed"
    assert unknown.value.param == "model"
    with pytest.raises(openai.UnprocessableEntityError):
        client.chat.completions.create(model="gpt-4o-mini", messages=[])
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wpai_nobody_nothing").models.list()
    for status, error in ((429, openai.InternalServerError), (500, openai.InternalServerError)):
        with pytest.raises(error):
            client.chat.completions.create(
                model="gpt-4o-mini", messages=[{"role": "user", "content": f"[[status={status}]] Hi"}]
            )
    with pytest.raises(openai.APIError):
        list(
            client.chat.completions.create(
                model="gpt-4o-mini",
                messages=[{"role": "user", "content": "Hi [[chunks=5 cut_after=2]]"}],
                stream=True,
            )
        )


def test_anthropics_sdk_chats_streams_and_raises_its_own_error_types(claude: anthropic.Anthropic) -> None:
    whole = claude.messages.create(
        model=CLAUDE,
        max_tokens=100,
        system="Be kind.",
        messages=[{"role": "user", "content": "Hi [[say=hello]] [[usage=12,3,cached=4]]"}],
    )
    assert whole.content[0].text == "hello"  # type: ignore[union-attr]
    assert whole.stop_reason == "end_turn"
    assert (whole.usage.input_tokens, whole.usage.cache_read_input_tokens, whole.usage.output_tokens) == (8, 4, 3)

    with claude.messages.stream(
        model=CLAUDE, max_tokens=100, messages=[{"role": "user", "content": "Hi [[chunks=4]]"}]
    ) as stream:
        assert "".join(stream.text_stream) == "tok1 tok2 tok3 tok4"
        assert stream.get_final_message().usage.output_tokens > 0

    assert "gpt-4o-mini" in [model.id for model in claude.models.list()]
    assert claude.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"
    with pytest.raises(anthropic.BadRequestError):
        claude.messages.create(model="no-such", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
    with pytest.raises(anthropic.UnprocessableEntityError):
        claude.messages.create(model=CLAUDE, max_tokens=9, messages=[])
    with pytest.raises(anthropic.AuthenticationError):
        claude.with_options(api_key="wpai_nobody_nothing").models.list()
    cut = claude.messages.stream(
        model=CLAUDE, max_tokens=100, messages=[{"role": "user", "content": "Hi [[chunks=5 cut_after=2]]"}]
    )
    with pytest.raises(anthropic.APIStatusError) as broken, cut as stream:
        stream.get_final_message()
    assert broken.value.body["error"]["type"] == "api_error"  # type: ignore[index]


def test_anthropics_sdk_carries_tools_and_schemas(claude: anthropic.Anthropic) -> None:
    tools: list[anthropic.types.ToolParam] = [{"name": "get_weather", "input_schema": WEATHER}]
    question: anthropic.types.MessageParam = {"role": "user", "content": CALL}
    with claude.messages.stream(model=CLAUDE, max_tokens=100, messages=[question], tools=tools) as stream:
        first = stream.get_final_message()
    assert first.stop_reason == "tool_use"
    [use] = [block for block in first.content if block.type == "tool_use"]
    assert use.input == {"city": "Paris"}
    second = claude.messages.create(
        model=CLAUDE,
        max_tokens=100,
        tools=tools,
        messages=[
            question,
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}],
            },
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]},
        ],
    )
    assert "sunny" in second.content[0].text  # type: ignore[union-attr]
    shaped = claude.messages.create(
        model=CLAUDE,
        max_tokens=100,
        messages=[{"role": "user", "content": "A city"}],
        output_config={"format": {"type": "json_schema", "schema": City.model_json_schema()}},
    )
    City.model_validate_json(shaped.content[0].text)  # type: ignore[union-attr]
