"""Chats that go on with a conversation, whole and streamed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from django_wp_ai.models import Conversation, Tenant, Turn
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, body_of, events
from tests.factories import TenantFactory
from tests.vendor.running import RunningVendor


def ask(site: Site, text: str, conversation_id: Any = "new", *, end_user: str = "7", **fields: Any) -> Any:
    body = {"prompt": text, "conversation_id": conversation_id, "metadata": {"end_user": end_user}, **fields}
    return site.post("v1/chat", body)


def sent(vendor: RunningVendor) -> list[tuple[str, Any]]:
    """Roles and texts as the vendor got them."""
    return [(message["role"], message["content"]) for message in vendor.last.body["messages"]]


def test_a_conversation_begins_and_goes_on(site: Site, vendor: RunningVendor) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(system_prompt="You serve a bakery.")
    begun = ask(site, "I am Ada. [[say=Hello Ada.]]").json()
    reply = ask(site, "Who am I?", begun["conversation_id"], system="Be brief.").json()
    assert reply["conversation_id"] == begun["conversation_id"] == str(UUID(begun["conversation_id"]))
    assert sent(vendor) == [
        ("system", "You serve a bakery."),
        ("system", "Be brief."),
        ("user", "I am Ada. [[say=Hello Ada.]]"),
        ("assistant", "Hello Ada."),
        ("user", "Who am I?"),
    ]
    assert Turn.objects.filter(role="system").count() == 0


def test_without_an_id_nothing_is_kept(site: Site, vendor: RunningVendor) -> None:
    for none in ({}, {"conversation_id": None}):
        reply = site.post("v1/chat", {"prompt": "Hi", **none}).json()
        assert "conversation_id" not in reply
    assert not Conversation.objects.exists()


@pytest.mark.parametrize("given", ["new", "", "6f1c2a8e-58c5-4b0e-9d56-0f0b5a3f7a11", "support-1"])
def test_a_conversation_may_be_begun_with_an_id_or_name_of_the_sites_own(
    site: Site, vendor: RunningVendor, given: str
) -> None:
    told = ask(site, "One [[say=two]]", given).json()["conversation_id"]
    assert told == given or given in ("", "new")
    ask(site, "Three", told)
    assert [text for _, text in sent(vendor)] == ["One [[say=two]]", "two", "Three"]


def test_a_stream_tells_its_conversation_at_once_and_keeps_what_was_said(site: Site, vendor: RunningVendor) -> None:
    body = {"prompt": "One [[say=two]]", "conversation_id": "new", "metadata": {"end_user": "7"}}
    first, *_ = events(body_of(site.post("v1/chat/stream", body)))
    assert first.name == "start"
    ask(site, "Three", first.data["conversation_id"])
    assert [text for _, text in sent(vendor)] == ["One [[say=two]]", "two", "Three"]


def test_a_refused_call_begins_no_conversation(site: Site, vendor: RunningVendor) -> None:
    assert ask(site, "Hi", model="nothing").status_code == 400
    assert ask(site, "[[status=400]]").status_code == 422
    assert not Conversation.objects.exists()


def test_another_end_users_or_sites_conversation_is_not_found(site: Site, vendor: RunningVendor) -> None:
    theirs = ask(site, "secret", end_user="7").json()["conversation_id"]
    tenant = TenantFactory.create()
    other = Site(tenant, issue_site_keys(tenant), site.client)
    vendor.clear()
    for caller, end_user in ((site, "8"), (site, ""), (other, "7")):
        reply = ask(caller, "What was said?", theirs, end_user=end_user)
        assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert not vendor.requests


@pytest.mark.parametrize("given", ["a b", "ü", "../x", "a" * 65, 7, True, ["new"]])
def test_a_bad_id_is_refused(site: Site, vendor: RunningVendor, given: Any) -> None:
    reply = ask(site, "Hi", given)
    assert reply.status_code == 422
    assert reply.json()["errors"][0]["field"] == "conversation_id"
    assert not vendor.requests


def test_results_of_the_callers_tools_go_on_with_the_conversation(site: Site, vendor: RunningVendor) -> None:
    weather = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    asked = ask(site, '[[tool=weather {"city": "Ulm"}]]', tools=[weather]).json()
    [call] = asked["tool_calls"]
    body = {
        "messages": [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"}],
        "conversation_id": asked["conversation_id"],
        "metadata": {"end_user": "7"},
        "tools": [weather],
    }
    assert site.post("v1/chat", body).status_code == 200
    assert [role for role, _ in sent(vendor)] == ["user", "assistant", "tool"]
    ask(site, "Thanks", asked["conversation_id"])
    assert [role for role, _ in sent(vendor)] == ["user", "assistant", "tool", "assistant", "user"]


def test_the_oldest_exchanges_are_left_out_when_they_do_not_fit(site: Site, vendor: RunningVendor) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(conversation_tokens=300, system_prompt="You serve a bakery.")
    chat = ask(site, "old " + "x" * 1000 + "[[say=y]]").json()["conversation_id"]
    ask(site, "young " + "x" * 800 + "[[say=z]]", chat)
    ask(site, "now", chat)
    assert [text.split()[0] for _, text in sent(vendor)] == ["You", "young", "z", "now"]
