"""The stand-in itself: it must refuse what a vendor refuses, or it would hide our mistakes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.vendor import directives
from tests.vendor.running import RunningVendor

USER = {"role": "user", "content": "hi"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def post(url: str, body: Any, **headers: str) -> tuple[int, Any]:
    """A plain HTTP call."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, sent)) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def openai(vendor: RunningVendor, **body: Any) -> tuple[int, Any]:
    whole = {"model": "gpt-4o", "messages": [USER]} | body
    return post(f"{vendor.url}/v1/chat/completions", whole, authorization="Bearer k")


def anthropic(vendor: RunningVendor, **body: Any) -> tuple[int, Any]:
    whole = {"model": "claude-sonnet-4-6", "max_tokens": 9, "messages": [USER]} | body
    return post(f"{vendor.url}/v1/messages", whole, x_api_key="k", anthropic_version="2023-06-01")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ({"model": ""}, 400),
        ({"model": "no-such-model"}, 404),
        ({"messages": []}, 400),
        ({"messages": [{"role": "wizard", "content": "x"}]}, 400),
        ({"messages": [{"role": "user", "content": None}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, 400),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "a"}]}, 400),
        ({"messages": [USER, CALL]}, 400),
        ({"messages": [USER, CALL, USER]}, 400),
        ({"colour": "red"}, 400),
        ({"temperature": 3}, 400),
        ({"n": True}, 400),
        ({"max_tokens": 1, "max_completion_tokens": 1}, 400),
        ({"model": "gpt-5", "max_tokens": 1}, 400),
        ({"stream_options": {"include_usage": True}}, 400),
        ({"stop": list("abcde")}, 400),
        ({"tool_choice": "auto"}, 400),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, 400),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]}, 400),
        ({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "maybe"}, 400),
        ({"response_format": {"type": "json_object"}}, 400),
        ({"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}}, 400),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, 400),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}, "strict": True}}}, 400),
        ({"response_format": {"type": "xml"}}, 400),
    ],
)
def test_it_refuses_what_openai_refuses(vendor: RunningVendor, body: dict[str, Any], status: int) -> None:
    code, answer = openai(vendor, **body)
    assert code == status
    if status != 200:
        assert set(answer["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ({"model": None}, 400),
        ({"model": "no-such-model"}, 404),
        ({"max_tokens": None}, 400),
        ({"max_tokens": 0}, 400),
        ({"messages": []}, 400),
        ({"messages": [{"role": "system", "content": "x"}]}, 400),
        ({"messages": [{"role": "user", "content": ""}]}, 400),
        ({"messages": [{"role": "user", "content": []}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a"}]}]}, 400),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "input": {}}]}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "base64"}}]}]}, 400),
        ({"n": 2}, 400),
        ({"temperature": 1.5}, 400),
        ({"temperature": 0.5, "model": "claude-sonnet-5"}, 400),
        ({"stop_sequences": [" "]}, 400),
        ({"tools": [{"name": "f"}]}, 400),
        ({"tool_choice": {"type": "auto"}}, 400),
        ({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "maybe"}}, 400),
        ({"tools": [{"name": "f", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool"}}, 400),
        ({"output_config": {"effort": "huge"}}, 400),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, 400),
    ],
)
def test_it_refuses_what_anthropic_refuses(vendor: RunningVendor, body: dict[str, Any], status: int) -> None:
    code, answer = anthropic(vendor, **body)
    assert code == status
    if status != 200:
        assert answer["type"] == "error"
        assert set(answer["error"]) == {"type", "message"}


def test_it_wants_keys_and_versions_and_json(vendor: RunningVendor) -> None:
    chat, messages = f"{vendor.url}/v1/chat/completions", f"{vendor.url}/v1/messages"
    assert post(chat, {})[0] == 401
    assert post(messages, {})[0] == 401
    assert post(messages, {}, x_api_key="k")[0] == 400
    assert post(chat, b"{", authorization="Bearer k")[0] == 400
    assert post(chat, [], authorization="Bearer k")[0] == 400
    assert post(f"{vendor.url}/v1/nothing", {}, authorization="Bearer k")[0] == 404
    assert post(f"{vendor.url}/v1/embeddings", {"input": ["x"]}, authorization="Bearer k")[0] == 400
    assert post(f"{vendor.url}/v1/embeddings", {"model": "m", "input": []}, authorization="Bearer k")[0] == 400


def test_a_failure_can_be_limited_to_the_first_requests_and_to_one_model(vendor: RunningVendor) -> None:
    twice = [{"role": "user", "content": "[[status=500 times=2]] hi"}]
    assert [openai(vendor, messages=twice)[0] for _ in range(3)] == [500, 500, 200]
    only = [{"role": "user", "content": "[[status=503 only=gpt-4o]] hi"}]
    assert openai(vendor, messages=only)[0] == 503
    assert openai(vendor, messages=only, model="gpt-4o-mini")[0] == 200
    body = {"model": "m", "input": "[[status=500 times=1]]"}
    url = f"{vendor.url}/v1/embeddings"
    assert [post(url, body, authorization="Bearer k")[0] for _ in range(2)] == [500, 200]


def test_it_says_what_it_is_told_to_say(vendor: RunningVendor) -> None:
    _, answer = openai(vendor, messages=[{"role": "user", "content": "[[say=It costs five euros [1]]] really?"}])
    assert answer["choices"][0]["message"]["content"] == "It costs five euros [1]"
    assert answer["usage"]["completion_tokens"] == 5


def test_an_unknown_directive_is_a_mistake_in_the_test() -> None:
    with pytest.raises(ValueError, match="no directive"):
        directives.parse("[[sttaus=500]]")
    with pytest.raises(ValueError, match="Expecting"):
        directives.parse("[[tool=f {broken]]")


def test_the_program_listens_is_controlled_over_http_and_stops_on_a_signal() -> None:
    program = subprocess.Popen([sys.executable, "-m", "tests.vendor"], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    url = program.stdout.readline().removeprefix("listening on ").strip()
    held = {"model": "gpt-4o", "messages": [{"role": "user", "content": "[[hold]] hi"}]}
    assert post(f"{url}/control/release", {"count": 1})[0] == 200
    assert post(f"{url}/v1/chat/completions", held, authorization="Bearer k")[0] == 200
    _, log = post(f"{url}/control/log", {})
    assert [(entry["path"], entry["body"], entry["ended"]) for entry in log["requests"]] == [
        ("/v1/chat/completions", held, True)
    ]
    post(f"{url}/control/release", {"all": True})
    assert post(f"{url}/v1/chat/completions", held, authorization="Bearer k")[0] == 200
    post(f"{url}/control/clear", {})
    assert post(f"{url}/control/log", {})[1] == {"requests": []}
    program.send_signal(signal.SIGTERM)
    assert program.wait() == 0
    program.stdout.close()


def test_both_vendors_list_their_models(vendor: RunningVendor) -> None:
    def listed(**headers: str) -> list[str]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        with urllib.request.urlopen(urllib.request.Request(f"{vendor.url}/v1/models", headers=sent)) as answer:
            return [model["id"] for model in json.load(answer)["data"]]

    assert "gpt-4o-mini" in listed(authorization="Bearer k")
    assert "claude-haiku-4-5" in listed(x_api_key="k", anthropic_version="2023-06-01")
