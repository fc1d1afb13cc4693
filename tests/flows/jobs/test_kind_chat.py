"""The kind ``chat``: the fields and the answer of ``v1/chat``."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Conversation, Tenant
from tests.flows.conftest import Street
from tests.flows.jobs.working import OFFLINE, Work, steps_of
from tests.flows.shop import seen, shop
from tests.vendor.running import RunningVendor

__all__ = ["seen", "shop"]


def test_a_chat_is_answered_and_its_cost_is_on_the_ledger_under_the_jobs_id(work: Work) -> None:
    job = work.done("chat", {"prompt": "Hi [[say=hello]] [[usage=10,5]]", "system": "Be brief."})
    assert job.status == "succeeded"
    [call] = work.calls(job)
    assert (call.route, call.input_tokens, call.output_tokens) == ("jobs", 10, 5)
    assert work.result("chat", {"prompt": "Hi [[say=hello]] [[usage=10,5]]"}) == {
        "content": "hello",
        "model": "gpt-4o-mini",
        "provider": "openai",
        "finish_reason": "stop",
        "cached": False,
        "tool_calls": None,
        "conversation_id": None,
        "usage": {"input_tokens": 10, "output_tokens": 5, "cost_usd": 4.5e-06, "estimated": False},
    }


def test_what_the_site_set_reaches_the_provider(work: Work, vendor: RunningVendor) -> None:
    work.result(
        "chat",
        {
            "messages": [
                {"role": "user", "content": "One"},
                {"role": "assistant", "content": "Two"},
                {"role": "user", "content": "Three"},
            ],
            "system": "Be brief.",
            "temperature": 0.3,
            "max_tokens": 50,
            "stop": ["END"],
            "response_format": {"type": "json_schema", "json_schema": {"type": "object", "properties": {}}},
            "metadata": {"end_user": "42", "plugin": "shop"},
        },
    )
    sent = vendor.requests[-1].body
    assert [message["content"] for message in sent["messages"]] == ["Be brief.", "One", "Two", "Three"]
    assert (sent["temperature"], sent["max_tokens"], sent["stop"]) == (0.3, 50, ["END"])
    assert sent["response_format"]["type"] == "json_schema"


def test_functions_of_the_site_come_back_as_calls(work: Work) -> None:
    tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
    found = work.result("chat", {"prompt": 'Hi [[tool=find {"q": 1}]]', "tools": [tool]})
    assert found["finish_reason"] == "tool_calls"
    assert found["tool_calls"] == [
        {"id": "call_1", "type": "function", "function": {"name": "find", "arguments": '{"q": 1}'}}
    ]


def test_the_hosts_own_tools_run_on_the_way_and_are_one_step(work: Work, shop: Street, seen: list[Any]) -> None:
    Tenant.objects.filter(pk=work.tenant.pk).update(allowed_tools=["*"])
    job = work.done("chat", {"prompt": 'Where? [[tool=order_status {"number": 7}]]', "tools": ["order_status"]})
    assert seen
    assert job.status == "succeeded", job.error_message
    assert len(work.calls(job)) == 2
    assert steps_of(job) == ["chat"]


def test_a_new_conversation_is_the_jobs_own_however_often_it_is_run(work: Work) -> None:
    job = work.done("chat", {"prompt": "Hi", "conversation_id": "new"}, end_user="7")
    assert job.status == "succeeded"
    assert [str(kept.pk) for kept in Conversation.objects.for_tenant(work.tenant)] == [str(job.pk)]


def test_the_offline_provider_answers_too(work: Work) -> None:
    found = work.result("chat", {"prompt": "Bread is baked at six. When is bread baked?", "model": OFFLINE})
    assert "Bread is baked at six." in found["content"]
    assert found["usage"]["cost_usd"] == 0


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "input"),
        ({"prompt": ""}, "input.prompt"),
        ({"prompt": " \n"}, "input.prompt"),
        ({"prompt": "Hi", "messages": []}, "input.messages"),
        ({"prompt": 5}, "input.prompt"),
        ({"prompt": "Hi", "stream": True}, "input.stream"),
        ({"prompt": "Hi", "dry_run": True}, "input.dry_run"),
        ({"prompt": "Hi", "temprature": 1}, "input.temprature"),
        ({"prompt": "Hi", "temperature": "0.5"}, "input.temperature"),
        ({"messages": [{"role": "user", "content": "a", "extra": 1}]}, "input.messages.0.extra"),
        ({"prompt": "a\x00b"}, "input.prompt"),
        ({"prompt": "\ud800"}, "input.prompt"),
        ([], "input"),
        ("Hi", "input"),
        (None, "input"),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_its_field(work: Work, given: Any, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        work.queue("chat", given)
    assert field in [error["field"] for error in refused.value.errors]
