"""Chats that name a prompt template."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import PromptTemplate
from tests.api.conftest import Site, body_of, events
from tests.factories import TenantFactory
from tests.vendor.running import RunningVendor


@pytest.fixture
def template(site: Site) -> PromptTemplate:
    return PromptTemplate.objects.create(
        tenant=site.tenant, name="summary", version=3, system="Answer in {words} words.", prompt="Sum up: {text}"
    )


def sent(vendor: RunningVendor) -> list[tuple[str, str]]:
    """Roles and texts as the vendor got them."""
    return [(message["role"], message["content"]) for message in vendor.last.body["messages"]]


def test_the_vendor_gets_the_filled_in_template_and_the_ledger_its_version(
    site: Site, vendor: RunningVendor, template: PromptTemplate
) -> None:
    body = {"prompt_template": "summary", "variables": {"text": "{words} [[say=fine]]", "words": 20}}
    reply = site.post("v1/chat", body)
    assert reply.json()["content"] == "fine"
    assert sent(vendor) == [("system", "Answer in 20 words."), ("user", "Sum up: {words} [[say=fine]]")]
    assert site.usage()[0].prompt_template == "summary@3"


def test_messages_come_between_the_templates_system_prompt_and_its_prompt(
    site: Site, vendor: RunningVendor, template: PromptTemplate
) -> None:
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    body = {"prompt_template": "summary@3", "variables": {"text": "a", "words": 1}, "messages": messages}
    assert site.post("v1/chat", body).status_code == 200
    assert sent(vendor) == [
        ("system", "Answer in 1 words."),
        ("user", "Hi"),
        ("assistant", "Hello"),
        ("user", "Sum up: a"),
    ]


def test_the_template_names_the_model_unless_the_call_does(site: Site, vendor: RunningVendor) -> None:
    PromptTemplate.objects.create(name="greeting", prompt="Hi", model="openai:gpt-4o")
    site.post("v1/chat", {"prompt_template": "greeting"})
    assert vendor.last.body["model"] == "gpt-4o"
    site.post("v1/chat", {"prompt_template": "greeting", "model": "fast"})
    assert vendor.last.body["model"] == "gpt-4o-mini"


def test_a_stream_takes_a_template_in_its_language(site: Site, vendor: RunningVendor) -> None:
    PromptTemplate.objects.create(name="greeting", prompt="Hi [[say=hi]]")
    PromptTemplate.objects.create(name="greeting", prompt="Moin [[say=moin]]", language="de")
    reply = site.post("v1/chat/stream", {"prompt_template": "greeting", "language": "de_DE"})
    assert "".join(event.data["delta"] for event in events(body_of(reply)) if "delta" in event.data) == "moin"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"variables": {"text": "a"}}, "variables.words"),
        ({"variables": {"text": "a", "words": 1, "more": 1}}, "variables.more"),
        ({"variables": {"text": "a", "words": None}}, "variables.words"),
        ({"variables": {"text": "a", "words": [1]}}, "variables.words"),
        ({"variables": {"text": "a", "words": 1}, "language": "?"}, "language"),
        ({"prompt_template": "Summary"}, "prompt_template"),
        ({"prompt_template": ""}, "prompt_template"),
        ({"prompt_template": 3}, "prompt_template"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_sent(
    site: Site, vendor: RunningVendor, template: PromptTemplate, fields: dict[str, Any], named: str
) -> None:
    reply = site.post("v1/chat", {"prompt_template": "summary", **fields})
    assert reply.status_code == 422
    assert any(error["field"].startswith(named) for error in reply.json()["errors"])
    assert not vendor.requests
    assert not site.usage()


@pytest.mark.parametrize(
    "body",
    [
        {"prompt_template": "greeting", "prompt": "Hi"},
        {"prompt": "Hi", "variables": {"a": "b"}},
        {"prompt": "Hi", "language": "de"},
        {"variables": {"a": "b"}},
        {"prompt_template": "greeting", "variables": {f"v{number}": 1 for number in range(65)}},
    ],
)
def test_what_does_not_go_together_is_refused(site: Site, vendor: RunningVendor, body: dict[str, Any]) -> None:
    PromptTemplate.objects.create(name="greeting", prompt="Hi")
    assert site.post("v1/chat", body).status_code == 422
    assert not vendor.requests


def test_another_sites_template_is_not_found(site: Site, vendor: RunningVendor) -> None:
    PromptTemplate.objects.create(tenant=TenantFactory.create(), name="theirs", prompt="Hi")
    reply = site.post("v1/chat", {"prompt_template": "theirs"})
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert not vendor.requests
