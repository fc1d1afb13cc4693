"""Conversations: whose they are, what of them is sent, what is kept and for how long."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.utils import timezone

from django_wp_ai.datatypes import Choice, ImagePart, Message, TextPart, ToolCall
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.gateway import conversations
from django_wp_ai.gateway.conversations import History
from django_wp_ai.models import Conversation, Tenant, Turn
from django_wp_ai.policy.content.vault import Vault
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def user(text: str) -> Message:
    return Message("user", (TextPart(text),))


def result(call_id: str, text: str = "sunny") -> Message:
    return Message("tool", (TextPart(text),), tool_call_id=call_id)


def loaded(
    tenant: Tenant, conversation_id: str, *, end_user: str = "7", budget_tokens: int = 4000, own: Sequence[Message] = ()
) -> History:
    return conversations.load(tenant, end_user, conversation_id, budget_tokens=budget_tokens, own=own)


def said(
    tenant: Tenant, question: str, answer: str, conversation_id: str = "new", *, end_user: str = "7", **choice: Any
) -> History:
    """One question with its answer, appended."""
    history = loaded(tenant, conversation_id, end_user=end_user)
    assert conversations.append(history, [user(question)], Choice(answer, "stop", **choice))
    return history


def texts(history: History) -> list[str]:
    return [f"{message.role}: {message.text}" for message in history.messages]


def rested(days: float, **rows: Any) -> None:
    """As if nothing had been said for so many days."""
    Conversation.objects.filter(**rows).update(updated_at=timezone.now() - timedelta(days=days))


def test_a_conversation_begins_with_its_first_answer_and_goes_on(tenant: Tenant) -> None:
    begun = loaded(tenant, "new")
    assert (begun.messages, begun.stored) == ((), False)
    assert not Conversation.objects.exists()

    conversations.append(begun, [user("I am Ada.")], Choice("Hello Ada.", "stop"))
    said(tenant, "Who am I?", "Ada.", begun.conversation_id)

    history = loaded(tenant, begun.conversation_id)
    assert texts(history) == ["user: I am Ada.", "assistant: Hello Ada.", "user: Who am I?", "assistant: Ada."]
    assert history.stored
    assert list(Turn.objects.values_list("ordinal", flat=True)) == [1, 2, 3, 4]


def test_two_new_conversations_are_two(tenant: Tenant) -> None:
    assert said(tenant, "a", "b").conversation_id != said(tenant, "a", "b").conversation_id
    assert Conversation.objects.for_tenant(tenant).count() == 2


def test_a_site_may_choose_the_id_of_a_conversation(tenant: Tenant) -> None:
    chosen = str(uuid.uuid4())
    assert loaded(tenant, chosen).conversation_id == chosen
    said(tenant, "a", "b", chosen.upper())
    assert texts(loaded(tenant, chosen.replace("-", ""))) == ["user: a", "assistant: b"]


def test_a_name_of_the_sites_own_tells_the_conversations_of_one_end_user_apart(tenant: Tenant) -> None:
    said(tenant, "for seven", "b", "support", end_user="7")
    said(tenant, "for eight", "b", "support", end_user="8")
    said(TenantFactory.create(), "for another", "b", "support", end_user="7")
    assert texts(loaded(tenant, "support", end_user="7")) == ["user: for seven", "assistant: b"]
    assert texts(loaded(tenant, "support", end_user="8")) == ["user: for eight", "assistant: b"]
    assert loaded(tenant, "support", end_user="8").conversation_id == "support"
    assert loaded(tenant, "support", end_user="9").messages == ()


def test_anothers_conversation_is_not_there(tenant: Tenant) -> None:
    theirs = said(tenant, "secret", "b", end_user="7").conversation_id
    for caller, end_user in ((tenant, "8"), (tenant, ""), (TenantFactory.create(), "7")):
        with pytest.raises(NotFound):
            loaded(caller, theirs, end_user=end_user)


def test_callers_without_an_end_user_go_on_with_an_id_that_they_know(tenant: Tenant) -> None:
    mine = said(tenant, "a", "b", end_user="").conversation_id
    assert texts(loaded(tenant, mine, end_user="")) == ["user: a", "assistant: b"]


@pytest.mark.parametrize("name", ["1", "support"])
def test_a_name_that_others_would_guess_needs_an_end_user(tenant: Tenant, name: str) -> None:
    with pytest.raises(Invalid, match="Without an end user") as caught:
        loaded(tenant, name, end_user="")
    assert caught.value.errors[0]["field"] == "conversation_id"


@pytest.mark.parametrize(
    "name", ["", " ", "a b", "-a", "a\n", "ü", "a" * 65, "../a", "{6f1c2a8e-58c5-4b0e-9d56-0f0b5a3f7a11}"]
)
def test_what_is_neither_id_nor_name_is_refused(tenant: Tenant, name: str) -> None:
    with pytest.raises(Invalid, match="Write new, a UUID, or a name"):
        loaded(tenant, name)


def test_the_newest_exchanges_that_fit_are_sent_whole(tenant: Tenant) -> None:
    chat = said(tenant, "a" * 400, "A" * 400).conversation_id  # about 208 tokens each
    said(tenant, "b" * 400, "B" * 400, chat)
    said(tenant, "c" * 400, "C" * 400, chat)
    sizes = {budget: len(loaded(tenant, chat, budget_tokens=budget).messages) for budget in (207, 208, 415, 416, 624)}
    assert sizes == {207: 0, 208: 2, 415: 2, 416: 4, 624: 6}
    assert texts(loaded(tenant, chat, budget_tokens=416))[0] == "user: " + "b" * 400


def test_a_long_conversation_of_short_turns_leaves_room_for_the_callers_messages(tenant: Tenant, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_MESSAGES": 10}
    chat = said(tenant, "1", "one").conversation_id
    for number in range(2, 9):
        said(tenant, str(number), "more", chat)
    assert texts(loaded(tenant, chat)) == ["user: 7", "assistant: more", "user: 8", "assistant: more"]


def test_a_long_conversation_is_loaded_with_three_queries(tenant: Tenant, django_assert_num_queries: Any) -> None:
    chat = said(tenant, "a", "b").conversation_id
    for _ in range(5):
        said(tenant, "a", "b", chat)
    with django_assert_num_queries(3):
        loaded(tenant, chat)


def asked_for_weather(tenant: Tenant, *call_ids: str, question: str = "Weather?", text: str = "") -> str:
    """A conversation whose answer calls tools."""
    calls = tuple(ToolCall(call_id, "weather", '{"city": "Ulm"}') for call_id in call_ids)
    return said(tenant, question, text, tool_calls=calls).conversation_id


def test_results_of_tools_find_the_calls_that_they_answer(tenant: Tenant) -> None:
    chat = asked_for_weather(tenant, "c1", "c2")
    results = [result("c1"), result("c2")]
    history = loaded(tenant, chat, own=[Message("system", (TextPart("Be brief."),)), *results])
    assert [message.role for message in history.messages] == ["user", "assistant"]
    assert [call.id for call in history.messages[1].tool_calls] == ["c1", "c2"]

    conversations.append(history, results, Choice("Sunny.", "stop"))
    later = loaded(tenant, chat).messages
    assert [message.role for message in later] == ["user", "assistant", "tool", "tool", "assistant"]
    assert later[1].tool_calls[0] == ToolCall("c1", "weather", '{"city": "Ulm"}')
    assert (later[2].tool_call_id, later[2].is_error) == ("c1", False)


def test_the_exchange_that_waits_for_results_is_kept_whatever_its_size(tenant: Tenant) -> None:
    said(tenant, "old", "old", "support")
    history = loaded(tenant, "support")
    conversations.append(history, [user("x" * 8000)], Choice("", "tool_calls", (ToolCall("c1", "weather", "{}"),)))
    sent = loaded(tenant, "support", budget_tokens=100, own=[result("c1")])
    assert texts(sent) == ["user: " + "x" * 8000, "assistant: "]
    assert loaded(tenant, "support", budget_tokens=100, own=[user("hello")]).messages == ()


def test_calls_that_nobody_answers_are_left_out(tenant: Tenant) -> None:
    chat = asked_for_weather(tenant, "c1", "c2", text="Let me look.")
    [_, spoken] = loaded(tenant, chat, own=[user("Never mind.")]).messages
    assert (spoken.text, spoken.tool_calls) == ("Let me look.", ())
    [_, spoken] = loaded(tenant, chat, own=[result("c2")]).messages
    assert [call.id for call in spoken.tool_calls] == ["c2"]

    silent = asked_for_weather(tenant, "c1")
    assert texts(loaded(tenant, silent, own=[user("Never mind.")])) == ["user: Weather?"]


def test_a_result_that_came_after_another_exchange_is_left_out_with_its_call(tenant: Tenant) -> None:
    chat = asked_for_weather(tenant, "c1", text="Let me look.")
    beside = loaded(tenant, chat, own=[result("c1")])
    said(tenant, "Hello?", "Hi.", chat)
    conversations.append(beside, [result("c1")], Choice("Sunny.", "stop"))
    history = loaded(tenant, chat)
    assert texts(history) == [
        "user: Weather?",
        "assistant: Let me look.",
        "user: Hello?",
        "assistant: Hi.",
        "assistant: Sunny.",
    ]
    assert not any(message.tool_calls for message in history.messages)


def test_system_prompts_and_empty_messages_make_no_turns(tenant: Tenant) -> None:
    history = loaded(tenant, "new")
    asked = [Message("system", (TextPart("Be brief."),)), Message("assistant", ()), user("a")]
    conversations.append(history, asked, Choice("", "stop"))
    assert texts(loaded(tenant, history.conversation_id)) == ["user: a"]


def test_images_are_kept_as_notes(tenant: Tenant) -> None:
    history = loaded(tenant, "new")
    parts = (
        TextPart("What is this?"),
        ImagePart("data:image/png;base64,AAAA"),
        ImagePart("https://example.org/" + "a" * 300),
    )
    conversations.append(history, [Message("user", parts)], Choice("A cat.", "stop"))
    [question, _] = loaded(tenant, history.conversation_id).messages
    assert question.text == f"What is this?\n[image]\n[image: https://example.org/{'a' * 180}]"


def test_all_of_a_message_comes_back(tenant: Tenant) -> None:
    history = loaded(tenant, "new")
    asked = [
        Message("user", (TextPart("Hé \U0001f600 \x00"),), name="ada"),
        Message("assistant", (TextPart("Looking."),), tool_calls=(ToolCall("c", "look", "{}"),)),
        Message("tool", (), tool_call_id="c", is_error=True),
    ]
    conversations.append(history, asked, Choice("", "stop", refusal="I can't."))
    assert loaded(tenant, history.conversation_id).messages == (*asked, Message("assistant", (TextPart("I can't."),)))


def test_hidden_data_is_put_back_into_what_is_kept(tenant: Tenant) -> None:
    vault = Vault()
    hidden = vault.hide("EMAIL", 'ada"@example.org')
    history = loaded(tenant, "new")
    call = ToolCall("c", "mail", json.dumps({"to": hidden}))
    conversations.append(history, [user("a")], Choice(f"To {hidden}?", "stop", (call,)), vault=vault)
    [_, answer] = loaded(tenant, history.conversation_id, own=[result("c")]).messages
    assert answer.text == 'To ada"@example.org?'
    assert json.loads(answer.tool_calls[0].arguments) == {"to": 'ada"@example.org'}


def test_no_word_of_a_conversation_can_be_read_in_the_database(tenant: Tenant) -> None:
    said(tenant, "canary question", "canary answer", tool_calls=(ToolCall("canary", "canary", "{}"),))
    assert not any("canary" in str(row) for row in [*Turn.objects.values(), *Conversation.objects.values()])


def test_turns_that_no_key_opens_are_left_out_and_logged(
    tenant: Tenant, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chat = said(tenant, "old", "old").conversation_id
    settings.SECRET_KEY = "another-secret-another-secret-another-secret-0"
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    said(tenant, "new", "new", chat)
    with caplog.at_level(logging.ERROR, logger="django_wp_ai"):
        assert texts(loaded(tenant, chat)) == ["user: new", "assistant: new"]
    assert "no encryption key opens it" in caplog.text
    [exported] = conversations.export_end_user(tenant, "7")
    assert [turn["content"] for turn in exported["turns"]] == [None, None, "new", "new"]


def test_an_answer_does_not_bring_an_erased_conversation_back(tenant: Tenant) -> None:
    chat = said(tenant, "a", "b").conversation_id
    running = loaded(tenant, chat)
    assert conversations.erase_end_user(tenant, "7") == 1
    assert not conversations.append(running, [user("c")], Choice("d", "stop"))
    assert not Conversation.objects.exists()


def test_two_first_answers_of_one_name_make_one_conversation(tenant: Tenant) -> None:
    first, second = loaded(tenant, "support"), loaded(tenant, "support")
    conversations.append(first, [user("a")], Choice("b", "stop"))
    conversations.append(second, [user("c")], Choice("d", "stop"))
    assert texts(loaded(tenant, "support")) == ["user: a", "assistant: b", "user: c", "assistant: d"]


def test_an_id_that_another_took_meanwhile_is_not_shared(tenant: Tenant) -> None:
    chosen = str(uuid.uuid4())
    mine, theirs = loaded(tenant, chosen, end_user="7"), loaded(tenant, chosen, end_user="8")
    conversations.append(theirs, [user("a")], Choice("b", "stop"))
    with pytest.raises(NotFound):
        conversations.append(mine, [user("c")], Choice("d", "stop"))
    assert texts(loaded(tenant, chosen, end_user="8")) == ["user: a", "assistant: b"]


def test_conversations_rest_as_long_as_their_tenant_says(tenant: Tenant) -> None:
    Tenant.objects.filter(pk=tenant.pk).update(conversation_days=10)
    patient = TenantFactory.create(conversation_days=60)
    for owner in (tenant, patient):
        said(owner, "a", "b", "old")
        said(owner, "a", "b", "young")
    rested(11, name="old")
    rested(9, name="young")
    assert conversations.purge_expired(timezone.now()) == 1
    assert Conversation.objects.for_tenant(tenant).get().name == "young"
    assert Conversation.objects.for_tenant(patient).count() == 2
    rested(61)
    assert conversations.purge_expired(timezone.now(), batch=2) == 3
    assert not Turn.objects.exists()


def test_a_conversation_that_goes_on_is_not_forgotten(tenant: Tenant) -> None:
    said(tenant, "a", "b", "support")
    rested(31)
    said(tenant, "c", "d", "support")
    assert conversations.purge_expired(timezone.now()) == 0


def test_a_forgotten_conversation_begins_anew(tenant: Tenant) -> None:
    chat = said(tenant, "a", "b").conversation_id
    rested(31)
    conversations.purge_expired(timezone.now())
    said(tenant, "c", "d", chat)
    assert texts(loaded(tenant, chat)) == ["user: c", "assistant: d"]


def test_erasing_takes_one_end_users_conversations_and_no_others(tenant: Tenant) -> None:
    kept = TenantFactory.create()
    said(tenant, "a", "b")
    said(tenant, "a", "b", "support")
    said(tenant, "a", "b", end_user="8")
    said(tenant, "a", "b", end_user="")
    said(kept, "a", "b")
    assert conversations.erase_end_user(tenant, "7") == 2
    assert conversations.erase_end_user(tenant, "7") == 0
    assert sorted(Conversation.objects.for_tenant(tenant).values_list("end_user", flat=True)) == ["", "8"]
    assert Conversation.objects.for_tenant(kept).count() == 1


@pytest.mark.parametrize("verb", [conversations.erase_end_user, conversations.export_end_user])
def test_callers_without_an_end_user_are_nobody_to_erase_or_export(tenant: Tenant, verb: Any) -> None:
    with pytest.raises(Invalid):
        verb(tenant, "")


def test_an_export_holds_everything_of_one_end_user(tenant: Tenant) -> None:
    chat = asked_for_weather(tenant, "c1")
    conversations.append(loaded(tenant, chat, own=[result("c1")]), [result("c1")], Choice("Sunny.", "stop"))
    said(tenant, "a", "b", "support")
    said(tenant, "not mine", "b", end_user="8")
    exported = json.loads(json.dumps(list(conversations.export_end_user(tenant, "7"))))
    assert (exported[0]["id"], exported[0]["name"]) == (chat, "")
    assert [turn["role"] for turn in exported[0]["turns"]] == ["user", "assistant", "tool", "assistant"]
    assert exported[0]["turns"][1]["tool_calls"] == [{"name": "weather", "arguments": '{"city": "Ulm"}'}]
    assert [turn["content"] for turn in exported[1]["turns"]] == ["a", "b"]
    assert "not mine" not in str(exported)
    assert list(conversations.export_end_user(tenant, "7", start=1, at_most=1)) == exported[1:]
