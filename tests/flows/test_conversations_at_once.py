"""Many calls on one conversation at the same time, on real connections."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from django_wp_ai.datatypes import Choice, Message, TextPart
from django_wp_ai.gateway import conversations
from django_wp_ai.models import Conversation, Tenant, Turn
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 8


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def at_once(*works: Callable[[], object]) -> list[object]:
    """The results of works that begin together, each on a connection of its own."""
    begin = threading.Barrier(len(works))

    def one(work: Callable[[], object]) -> object:
        begin.wait()
        try:
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(one, works))


def one_exchange(tenant: Tenant, conversation_id: str, text: str) -> bool:
    history = conversations.load(tenant, "7", conversation_id, budget_tokens=4000)
    asked = Message("user", (TextPart(text),))
    return conversations.append(history, [asked], Choice(f"re {text}", "stop"))


def exchanges(turns: Iterable[Message]) -> list[tuple[str, str]]:
    texts = [turn.text for turn in turns]
    return sorted(zip(texts[::2], texts[1::2], strict=True))


def test_exchanges_at_once_stand_one_behind_the_other_without_gaps(tenant: Tenant) -> None:
    def several(number: int) -> Callable[[], object]:
        return lambda: [one_exchange(tenant, "support", f"{number}-{count}") for count in range(4)]

    at_once(*(several(number) for number in range(THREADS)))

    assert Conversation.objects.for_tenant(tenant).count() == 1
    assert list(Turn.objects.values_list("ordinal", flat=True)) == list(range(1, THREADS * 4 * 2 + 1))
    history = conversations.load(tenant, "7", "support", budget_tokens=4000)
    said = [(f"{number}-{count}", f"re {number}-{count}") for number in range(THREADS) for count in range(4)]
    assert exchanges(history.messages) == sorted(said)


def test_erasing_beside_answers_leaves_no_turn_without_its_conversation(tenant: Tenant) -> None:
    for _ in range(10):
        one_exchange(tenant, "support", "first")
        running = conversations.load(tenant, "7", "support", budget_tokens=4000)
        results = at_once(
            lambda running=running: conversations.append(running, [], Choice("late", "stop")),
            lambda: conversations.erase_end_user(tenant, "7"),
        )
        assert results[1] == 1
        assert not Conversation.objects.exists()
        assert not Turn.objects.exists()


def test_purging_at_once_counts_each_conversation_once(tenant: Tenant) -> None:
    for number in range(20):
        one_exchange(tenant, f"c{number}", "old")
    Conversation.objects.update(updated_at=timezone.now() - timedelta(days=31))
    now = timezone.now()
    counts = at_once(*(lambda: conversations.purge_expired(now, batch=3) for _ in range(4)))
    assert sum(int(str(number)) for number in counts) == 20
    assert not Turn.objects.exists()
