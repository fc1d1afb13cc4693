"""What is chosen by embedding model: the first glob that matches says it, and what can't be meant is refused."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.rag.choices import MAX_PASSAGE_PREFIX, check_settings, prefixes, weights
from django_wp_ai.rag.search.hits import Filters
from django_wp_ai.rag.search.wish import Wish

E5 = "local:multilingual-e5-small"


def choose(settings: Any, **options: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}


def wish(*, terms: tuple[tuple[str, ...], ...] = (("bread",),), vector: list[float] | None = None) -> Wish:
    return Wish(1, terms, vector, f"{E5}|passage: ", Filters(), 5)


def test_a_model_that_no_glob_matches_is_sent_the_bare_text(settings: Any) -> None:
    assert prefixes(E5) == ("", "")
    choose(settings, RAG_PREFIXES={"*nomic*": ("search_query: ", "search_document: ")})
    assert prefixes(E5) == ("", "")


def test_the_first_glob_that_matches_says_what_texts_begin_with(settings: Any) -> None:
    given = {"other:*": ("o", "o"), "local:*-e5-*": ["query: ", "passage: "], "*": ("", "x")}
    choose(settings, RAG_PREFIXES=given)
    assert prefixes(E5) == ("query: ", "passage: ")
    assert prefixes("openai:text-embedding-3-small") == ("", "x")


def test_weights_are_those_of_the_model_whatever_its_passages_begin_with(settings: Any) -> None:
    assert wish(vector=[1.0]).weights == weights(E5) == (1.0, 0.5)
    assert weights("offline:offline-hash-2") == (1.0, 1.0)
    choose(settings, RAG_WEIGHTS={E5: (1, 0.7)})
    assert wish(vector=[1.0]).weights == (1.0, 0.7)


def test_a_ranking_that_is_alone_counts_whole(settings: Any) -> None:
    choose(settings, RAG_WEIGHTS={"*": (1, 0)})
    assert wish(vector=[1.0]).weights == (1.0, 0.0)
    assert wish().weights == (1.0, 1.0)
    assert wish(terms=(), vector=[1.0]).weights == (1.0, 1.0)


LONG = "x" * (MAX_PASSAGE_PREFIX + 1)


@pytest.mark.parametrize(
    "pair", ["q: ", None, ("q: ",), ("q: ", "p: ", ""), ("q: ", 1), {"q": "p"}, ("", LONG), ("", "\x00")]
)
def test_prefixes_that_are_no_two_texts_are_refused(settings: Any, pair: Any) -> None:
    choose(settings, RAG_PREFIXES={"*e5*": pair})
    with pytest.raises(ImproperlyConfigured, match=r"DJANGO_WP_AI\['RAG_PREFIXES'\]\['\*e5\*'\] must be "):
        check_settings()


@pytest.mark.parametrize("pair", [1, "11", (1,), (1, "1"), (1, -0.1), (0, 0), (1, float("nan")), (True, 1), (1, 1, 1)])
def test_weights_that_weigh_nothing_are_refused(settings: Any, pair: Any) -> None:
    choose(settings, RAG_WEIGHTS={"*e5*": pair})
    with pytest.raises(ImproperlyConfigured, match=r"DJANGO_WP_AI\['RAG_WEIGHTS'\]\['\*e5\*'\] must be "):
        check_settings()


def test_what_can_be_meant_passes(settings: Any) -> None:
    long = "Represent this sentence for searching relevant passages: " * 9
    choose(settings, RAG_PREFIXES={"*bge*": [long, "x" * MAX_PASSAGE_PREFIX]}, RAG_WEIGHTS={"*": [1, 0], "x": (0, 2.5)})
    check_settings()
