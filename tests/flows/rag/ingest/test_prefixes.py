"""A model that tells questions from passages is sent their prefixes, and another prefix is as another model."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Chunk
from django_wp_ai.providers.registry import aclose
from django_wp_ai.rag import ingest
from django_wp_ai.rag.embedding import serving_model
from django_wp_ai.rag.evaluation import parse, retrieve
from django_wp_ai.rag.search import search
from tests.flows.rag.ingest.conftest import VENDOR, Library

PREFIXED = f"{VENDOR}|passage: "
QUESTION = '{"id": "q", "question": "What is sold?", "language": "en", "relevant": ["post-1"]}'


def choose(library: Library, settings: Any, *prefixes: str) -> None:
    library.street.run(aclose())  # other settings make other providers
    chosen = {"openai:text-*": prefixes} if prefixes else {}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG_PREFIXES": chosen}


@pytest.fixture
def prefixed(library: Library, settings: Any) -> Library:
    choose(library, settings, "query: ", "passage: ")
    return library


def ask(library: Library, question: str) -> list[str]:
    found = search(library.principal, question, k=5, origin=Origin("search"))
    return [hit.content for hit in library.street.run(found)]


def names(library: Library) -> set[str]:
    return set(Chunk.objects.for_tenant(library.tenant).values_list("embedding_model", flat=True))


def test_passages_and_questions_are_sent_with_their_own_prefix_and_shown_without(prefixed: Library) -> None:
    prefixed.index("post-1", "Bread is sold.", title="The shop")
    assert prefixed.sent() == ["passage: The shop\n\nBread is sold."]
    prefixed.vendor.clear()
    assert ask(prefixed, "What is sold?") == ["Bread is sold."]
    assert prefixed.sent() == ["query: What is sold?"]
    assert (names(prefixed), prefixed.site_index().embedding_model) == ({PREFIXED}, PREFIXED)


def test_an_evaluation_asks_as_a_visitor_does(prefixed: Library) -> None:
    prefixed.index("post-1", "Bread is sold.")
    prefixed.vendor.clear()
    [outcome] = prefixed.street.run(retrieve(prefixed.tenant, parse(QUESTION), modes=("hybrid",), k=5))
    assert (prefixed.sent(), outcome.ranked) == (["query: What is sold?"], ("post-1",))


def test_another_prefix_of_passages_embeds_the_site_anew_while_the_old_vectors_serve(
    library: Library, settings: Any
) -> None:
    library.index("post-1", "Bread is sold.")
    choose(library, settings, "query: ", "passage: ")
    library.vendor.clear()
    library.index("post-2", "Cake is sold.")
    assert (library.sent(), serving_model(library.tenant)) == (["Cake is sold."], VENDOR)
    assert len(ask(library, "What is sold?")) == 2
    library.vendor.clear()
    assert ingest.start_due() == 1
    library.run_due()
    assert sorted(library.sent()) == ["passage: Bread is sold.", "passage: Cake is sold."]
    assert (names(library), serving_model(library.tenant)) == ({PREFIXED}, PREFIXED)
    assert len(ask(library, "What is sold?")) == 2
    assert ingest.start_due() == 0


def test_texts_that_stay_the_same_are_sent_again_only_for_another_prefix(prefixed: Library, settings: Any) -> None:
    prefixed.index("post-1", "Bread is sold.")
    prefixed.vendor.clear()
    prefixed.index("post-2", "Bread is sold.")
    assert prefixed.sent() == []
    choose(prefixed, settings)
    assert ingest.start_due() == 1
    prefixed.run_due()
    assert prefixed.sent() == ["Bread is sold."]
    assert names(prefixed) == {VENDOR}


def test_another_prefix_of_questions_alone_leaves_the_vectors_as_they_are(prefixed: Library, settings: Any) -> None:
    prefixed.index("post-1", "Bread is sold.")
    choose(prefixed, settings, "Query: ", "passage: ")
    assert ingest.start_due() == 0
    prefixed.vendor.clear()
    ask(prefixed, "What is sold?")
    assert prefixed.sent() == ["Query: What is sold?"]
