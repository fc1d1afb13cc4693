"""Follow-up questions: what is searched, what the model sees, what is kept."""

from __future__ import annotations

import pytest

from django_wp_ai.datatypes import Message, TextPart
from django_wp_ai.gateway import conversations
from django_wp_ai.models import Conversation, Turn
from django_wp_ai.rag.answer.following import query_of
from django_wp_ai.rag.answer.sentences import NOT_FOUND
from tests.flows.rag.answer.conftest import Site
from tests.vendor.running import RunningVendor

QUOTE = "Our shop opens at nine in the morning"


def said(*texts: str) -> list[Message]:
    """Turns of a user and an assistant, one after the other."""
    return [Message(("user", "assistant")[at % 2], (TextPart(text),)) for at, text in enumerate(texts)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "searched"),
    [
        ("And on Sundays?", "When does the bakery open?\nAnd on Sundays?"),
        (
            "Can I park my car near it while I eat?",
            "When does the bakery open?\nCan I park my car near it while I eat?",
        ),
        ("Kann ich dort mein Auto für eine Stunde parken?", None),
        ("日曜は？", None),
        ("その店の駐車場は何時まで使えますか", None),
        ("How much does a loaf of rye bread cost?", "How much does a loaf of rye bread cost?"),
        ("Wie viel kostet ein Laib Roggenbrot heute Abend?", "Wie viel kostet ein Laib Roggenbrot heute Abend?"),
        ("食パンを冷凍する方法を教えてください", "食パンを冷凍する方法を教えてください"),
        *(
            (alone, alone)
            for alone in (
                "Haben Sie am Sonntag im Sommer geöffnet?",
                "Was kostet das Brot am Sonntag im Laden?",
                "Gibt es da draußen am Sonntag auch Kuchen?",
                "Welche Öffnungszeiten hat die Bäckerei am Sonntag?",
                "Quels pains vendez-vous en semaine dans la boutique?",
                "Combien de temps y a-t-il entre les trains?",
                "Quanto costa il pane della domenica nel negozio?",
                "¿Qué panes venden en la tienda los domingos?",
                "¿Cuánto cuestan el pan y la leche los domingos?",
                "Welk brood verkoopt u die zondag in de winkel?",
            )
        ),
    ],
)
def test_a_question_that_leans_on_the_last_one_is_searched_with_it(question: str, searched: str | None) -> None:
    history = said("Which cakes are vegan here?", "None [1].", "When does the bakery open?", "At nine [1].")
    assert query_of(question, history) == (searched or f"When does the bakery open?\n{question}")
    assert query_of(question, []) == question


def test_a_long_question_is_searched_from_its_beginning() -> None:
    alone = "Which rye breads of the bakery " + "keep fresh for a long time " * 50
    leaning = f"And {alone}"
    for question in (alone, leaning):
        assert query_of(question, []) == question
        assert query_of(question, said("When does the bakery open?", "At nine.")) == question


def test_a_chain_of_leaning_questions_is_followed_back_a_little(site: Site) -> None:
    history = said("When does the bakery open?", "At nine.", "And on Sundays?", "Never.", "Why?", "Rest.")
    assert query_of("Really?", history) == "When does the bakery open?\nAnd on Sundays?\nWhy?\nReally?"
    assert len(query_of("Really?", said("word " * 900, "x"))) <= 1000


def test_a_follow_up_finds_what_the_conversation_is_about(site: Site, vendor: RunningVendor) -> None:
    begun = site.ask(f'When does the shop open? [[say=At nine [1 "{QUOTE}"].]]', conversation_id="new", end_user="ada")
    assert begun.conversation_id
    answer = site.ask(
        'And on Sundays? [[say=Never [1 "On Sundays it is closed"].]]',
        conversation_id=begun.conversation_id,
        end_user="ada",
        cache=True,
    )
    assert answer.citations[0].source_id == "post-1"
    messages = vendor.last.body["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[2]["content"] == "At nine."  # without the marker of then
    assert "<untrusted" not in messages[1]["content"]
    history = conversations.load(site.tenant, "ada", begun.conversation_id, budget_tokens=4000)
    assert [message.text for message in history.messages][1::2] == ["At nine [1].", "Never [1]."]


def test_what_had_no_answer_is_kept_as_the_reader_saw_it(site: Site) -> None:
    answer = site.ask("Who painted the Mona Lisa?", conversation_id="new", end_user="ada")
    streamed = site.stream("And who framed it?", conversation_id=answer.conversation_id, end_user="ada")[1]
    assert not streamed.supported
    history = conversations.load(site.tenant, "ada", answer.conversation_id, budget_tokens=4000)
    assert [message.text for message in history.messages] == [
        "Who painted the Mona Lisa?", NOT_FOUND["en"], "And who framed it?", NOT_FOUND["en"]
    ]  # fmt: skip


def test_answers_of_a_conversation_are_not_shared(site: Site, vendor: RunningVendor) -> None:
    for _ in range(2):
        site.ask("When does the shop open? [[say=x]]", conversation_id="support", end_user="ada", cache=True)
        site.ask("And the shop on Sundays? [[say=x]]", conversation_id="support", end_user="ada", cache=True)
    assert len(vendor.requests) == 4


def test_without_a_conversation_nothing_is_kept(site: Site) -> None:
    site.ask("When does the shop open? [[say=x]]", end_user="ada")
    assert not Conversation.objects.exists()
    assert not Turn.objects.exists()
