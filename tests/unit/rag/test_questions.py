"""Files of questions: our own is well-formed, and a wrong one is refused by its line."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from django_wp_ai.exceptions import Invalid
from django_wp_ai.rag.evaluation import parse
from django_wp_ai.rag.evaluation import questions as file
from tests import library

GOOD = {"id": "1", "question": "When?", "language": "en", "relevant": ["a"]}


def line(**fields):
    return json.dumps({**GOOD, **fields})


def test_our_own_set_has_enough_questions_of_each_kind():
    asked = library.questions()
    about_posts = Counter(q.language for q in asked if q.relevant and not q.id.startswith("docs"))
    assert len(asked) >= 160
    assert min(about_posts["en"], about_posts["de"], about_posts["ja"]) >= 50
    assert sum(q.id.startswith("docs") for q in asked) >= 20
    assert sum(not q.is_answerable for q in asked) >= 12
    assert len({q.text for q in asked}) == len(asked)


def test_every_source_that_our_questions_name_is_there_and_every_post_is_asked_for():
    posts = {new.source_id for new in library.posts()}
    pages = {new.source_id for new in library.pages()}
    named = {source for q in library.questions() for source in q.relevant}
    assert named <= posts | pages
    assert posts <= named
    assert len(posts) == 60


def test_what_the_site_does_not_show_is_not_read():
    texts = "".join(new.html for new in library.posts())
    for hidden in ("Gull Row", "night shift", "Hefezopf:", "at four in the afternoon.</p>\n", "Gerald"):
        assert hidden not in texts
        assert hidden in library.EXPORT.read_text(encoding="utf-8")


def test_an_answer_says_what_its_source_says():
    texts = {new.source_id: new.title + new.html for new in library.posts()}
    texts |= {new.source_id: new.content.decode() for new in library.pages()}
    wrong = [
        (q.id, q.answer_contains)
        for q in library.questions()
        if q.relevant and not any(q.answer_contains in texts[source] for source in q.relevant)
    ]
    assert wrong == []


def test_a_file_is_read_with_blank_lines_other_line_ends_and_a_byte_order_mark():
    text = "\ufeff" + line() + "\r\n\n" + line(id="2", question="Where\u2028is it?", relevant=[], unanswerable=True)
    first, second = parse(text)
    assert (first.relevant, first.answer_contains, first.is_answerable) == ({"a"}, "", True)
    assert (second.text, second.is_answerable) == ("Where\u2028is it?", False)


def test_a_question_may_come_without_a_language():
    bare = {name: value for name, value in GOOD.items() if name != "language"}
    assert parse(json.dumps(bare))[0].language == "-"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "There is no question."),
        ("\n \n", "There is no question."),
        ("{", "Line 1 of the questions: it is no JSON."),
        ("[" * 100_000, "Line 1 of the questions: it is no JSON."),
        ("[]", "it is no object"),
        (line() + "\n" + line(), "Line 2 of the questions: the id '1' was there before"),
        (line(answer="x"), "'answer' is no field; there are answer_contains, id"),
        (line(id=1), "id is no text"),
        (line(id=" "), "id is no text"),
        (line(question=None), "question is no text"),
        (line(question="x" * 4001), "question has more than 4000"),
        (line(language=["en"]), "language is no text"),
        (line(relevant="a"), "relevant is no list"),
        (line(relevant=[1]), "relevant is no list"),
        (line(relevant=[""]), "relevant is no list"),
        (line(relevant=[]), "either relevant sources or is unanswerable"),
        (line(unanswerable=True), "either relevant sources or is unanswerable"),
        (line(unanswerable="yes"), "unanswerable is not true or false"),
        (line(answer_contains=3), "answer_contains is no text"),
    ],
)
def test_a_wrong_line_is_named(text, why):
    with pytest.raises(Invalid) as refused:
        parse(text)
    assert why in refused.value.detail


def test_a_file_has_a_bound(monkeypatch):
    monkeypatch.setattr(file, "MAX_QUESTIONS", 1)
    with pytest.raises(Invalid, match="more than 1"):
        parse(line() + "\n" + line(id="2"))
