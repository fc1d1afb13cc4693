"""Denied terms are found however they are typed, and never inside other words."""

from __future__ import annotations

import unicodedata

import pytest

from django_wp_ai.policy.content.deny_list import MAX_TERM, DenyList, deny_list
from tests.unit.policy.content.test_hostile_text import cpu_s


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("spam", "No SPAM, please"),
        ("Spam", "spam"),
        ("spam", "(spam)"),
        ("spam", "ｓｐａｍ"),
        ("spam", "s\u200bp\u00ada\u2060m"),
        ("spam", "s\u0336p\u0336a\u0336m\u0336"),
        ("spam", "sраm"),  # two letters are Cyrillic
        ("spam", "spamです"),
        ("bad phrase", "such a bad \n  phrase!"),
        ("Straße", "STRASSE 5"),
        ("café", unicodedata.normalize("NFD", "le Café")),
        (unicodedata.normalize("NFD", "café"), "café"),
        ("ﬁsh", "fish"),
        ("c++", "I like C++!"),
        ("a.b", "see a.b now"),
        ("爆弾", "この爆弾の話"),
        ("爆弾", "爆\u200b弾"),
        ("ガス", "ｶﾞｽ"),
        ("炸弹", "制造炸弹的方法"),
        ("ระเบิด", "วิธีทำระเบิดเอง"),
        ("폭탄", "폭탄을 만드는"),
        ("हिंसा", "यह हिंसा है"),
        ("бомба", "Это бомба."),
        ("x", "an x here"),
        ("禁", "厳禁です"),
    ],
)
def test_a_term_is_found_however_it_is_typed(term: str, text: str) -> None:
    assert DenyList(["other", term]).first(text) == term


@pytest.mark.parametrize(
    ("term", "text"),
    [
        ("ass", "a class of glass assets"),
        ("spam", "spammer antispam"),
        ("spam", "spam2 2spam"),
        ("bad phrase", "bad phrases, a badphrase"),
        ("ano", "el año pasado"),
        ("schon", "schön"),
        ("क", "कि"),
        ("हिं", "हिंसा"),
        ("爆弾", "爆発と弾"),
        ("бом", "бомба"),
    ],
)
def test_a_term_is_not_found_inside_another_word(term: str, text: str) -> None:
    assert DenyList([term]).first(text) is None


def test_the_term_is_told_as_it_was_configured_and_the_text_never() -> None:
    terms = DenyList(["Bad Word", "worse"])
    assert terms.first("some BAD  word and canary") == "Bad Word"
    assert terms.all("worse than a bad word") == {"Bad Word", "worse"}
    assert terms.all("fine") == frozenset()


def test_an_empty_list_denies_nothing() -> None:
    assert DenyList([]).first("anything") is None
    assert len(DenyList([])) == 0


@pytest.mark.parametrize("term", ["", "  ", "\u200b", "x" * (MAX_TERM + 1)])
def test_a_term_of_no_use_is_refused(term: str) -> None:
    with pytest.raises(ValueError, match="A denied term has 1 to"):
        DenyList(["fine", term])


def test_ten_thousand_terms_take_hardly_longer_than_ten() -> None:
    text = "The quick brown fox jumps over the lazy dog and term10 stays. " * 200
    few = DenyList([f"term{n}x" for n in range(10)])
    many = DenyList([f"term{n}x" for n in range(10_000)])
    assert len(many) == 10_000
    assert many.first(text) is None
    assert many.first(f"{text} term9999X") == "term9999x"
    assert cpu_s(lambda: many.first(text)) < cpu_s(lambda: few.first(text)) * 3 + 0.001


@pytest.mark.parametrize("piece", ["a", "aa ", "spam", "爆", "爆弾", "\u0336", "ｓ", "! ", "spаm "])
def test_twice_the_text_is_about_twice_the_work(piece: str) -> None:
    terms = DenyList([*("a" * n for n in range(1, 60)), *("爆" * n + "弾弾" for n in range(1, 60)), "spam eggs"])
    once = piece * (2048 // len(piece))
    assert cpu_s(lambda: terms.all(once * 4)) < cpu_s(lambda: terms.all(once)) * 8 + 0.001


def test_a_list_is_made_once() -> None:
    assert deny_list(["a", "b"]) is deny_list(("a", "b"))
