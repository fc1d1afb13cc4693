"""Metrics of rankings, against values reckoned by hand."""

from __future__ import annotations

from math import log2

import pytest

from django_wp_ai.rag.evaluation import (
    Answered,
    EvalQuestion,
    Figures,
    Outcome,
    answer_figures,
    figures,
)
from django_wp_ai.rag.evaluation.metrics import ndcg, recall, reciprocal_rank

RANKED = ("a", "b", "c", "d", "e", "f")


@pytest.mark.parametrize(
    ("relevant", "k", "expected"),
    [
        ({"a"}, 1, 1),
        ({"b"}, 1, 0),
        ({"a", "f"}, 5, 0.5),
        ({"a", "f"}, 6, 1),
        ({"x"}, 6, 0),
        ({"a", "b", "x"}, 2, 2 / 3),
    ],
)
def test_recall_is_the_share_of_the_relevant_that_stands_among_the_first(relevant, k, expected):
    assert recall(RANKED, relevant, k) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("relevant", "expected"), [({"a"}, 1), ({"c"}, 1 / 3), ({"c", "b"}, 1 / 2), ({"f"}, 1 / 6), ({"x"}, 0)]
)
def test_the_reciprocal_rank_is_that_of_the_first_relevant_one(relevant, expected):
    assert reciprocal_rank(RANKED, relevant) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("relevant", "k", "expected"),
    [
        ({"a"}, 10, 1),
        ({"b"}, 10, 1 / log2(3)),
        ({"a", "b"}, 10, 1),
        ({"a", "c"}, 10, (1 + 0.5) / (1 + 1 / log2(3))),
        ({"c", "d"}, 3, 0.5 / (1 + 1 / log2(3))),
        ({"f"}, 5, 0),
        ({"x"}, 5, 0),
        (set(RANKED), 2, 1),
        ({"b", "x", "y"}, 2, (1 / log2(3)) / (1 + 1 / log2(3))),
    ],
)
def test_ndcg_counts_less_the_further_down_and_is_1_for_the_best_order(relevant, k, expected):
    assert ndcg(RANKED, relevant, k) == pytest.approx(expected)


@pytest.mark.parametrize(
    "measure", [lambda r: recall((), r, 5), lambda r: reciprocal_rank((), r), lambda r: ndcg((), r, 5)]
)
def test_a_ranking_of_nothing_is_worth_nothing(measure):
    assert measure({"a"}) == 0


def question(name: str, language: str, *relevant: str, says: str = "") -> EvalQuestion:
    return EvalQuestion(name, name, language, frozenset(relevant), says)


def test_figures_are_means_by_mode_and_language_without_what_has_no_answer():
    first, second, none = question("1", "en", "a"), question("2", "de", "b", "x"), question("3", "de")
    outcomes = [
        Outcome(first, "text", ("a", "b")),
        Outcome(second, "text", ("c", "b")),
        Outcome(none, "text", ("a",)),
        Outcome(first, "vector", ()),
    ]
    best_of_two = 1 + 1 / log2(3)
    assert figures(outcomes, k=5) == [
        Figures("text", "all", 2, 0.75, 0.75, pytest.approx((1 + 1 / log2(3) / best_of_two) / 2)),
        Figures("text", "de", 1, 0.5, 0.5, pytest.approx(1 / log2(3) / best_of_two)),
        Figures("text", "en", 1, 1, 1, 1),
        Figures("vector", "all", 1, 0, 0, 0),
        Figures("vector", "en", 1, 0, 0, 0),
    ]


def test_a_language_that_is_called_all_does_not_hide_the_whole():
    outcomes = [Outcome(question("1", "all", "a"), "text", ("a",)), Outcome(question("2", "en", "a"), "text", ())]
    assert [(each.language, each.questions) for each in figures(outcomes, k=5)] == [("all", 2), ("all", 1), ("en", 1)]


def test_answers_are_judged_by_support_citations_and_words():
    right = Answered(question("1", "en", "a", says="Nine o'clock"), "At nine O'CLOCK.", supported=True, cited=("a",))
    wrong = Answered(question("2", "en", "b", says="ten"), "At nine.", supported=True, cited=("a",))
    silent = Answered(question("3", "en", "c"), "I don't know.", supported=False, cited=())
    declined = Answered(question("4", "de"), "Ich weiß es nicht.", supported=False, cited=())
    made_up = Answered(question("5", "de"), "Blau.", supported=True, cited=("a",))
    everything, german, english = answer_figures([right, wrong, silent, declined, made_up])
    assert (everything.questions, everything.supported) == (5, pytest.approx(2 / 3))
    assert (english.cites_relevant, english.says_it, english.declined) == (pytest.approx(1 / 3), 0.5, None)
    assert (german.supported, german.cites_relevant, german.says_it, german.declined) == (None, None, None, 0.5)
