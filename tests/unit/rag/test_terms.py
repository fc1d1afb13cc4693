"""From text to terms: stems, pairs of characters, pieces of joined words, and nothing that breaks a tsvector."""

from __future__ import annotations

import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from django_wp_ai.rag.search.lexemes import counts, lexemes_of
from django_wp_ai.rag.search.terms import MAX_WORD, terms, wanted


@pytest.mark.parametrize(
    ("text", "language", "found"),
    [
        ("Pruning the tomatoes", "en", ["prune", "tomato"]),
        ("Pruning the tomatoes", "", ["prune", "tomato"]),
        ("Les résumés", "fr", ["resum"]),
        ("wp_insert_post()", "en", ["wp", "insert", "post", "wp_insert_post"]),
        ("東京都", "ja", ["東京", "京都", "都"]),
        ("WordPressの設定", "ja", ["wordpress", "の設", "設定", "定"]),
        ("ＷＰ　１２", "ja", ["wp", "12"]),
        ("Rosen", "de", ["ros"]),
        ("Brötchen", "de", ["brotch", "_brotc", "_rotch"]),
        ("", "en", []),
        ("… !? \x00 \ud800", "en", []),
    ],
)
def test_a_text_gives_its_terms(text: str, language: str, found: list[str]) -> None:
    assert terms(text, language) == found


@pytest.mark.parametrize("token", ["7" * 3000, "x" * 3000, "7x" * 1500, "７" * 3000])
def test_what_is_longer_than_a_word_is_cut_alike_in_texts_and_questions(token: str) -> None:
    [term], [(asked,)] = terms(token, "en"), wanted(token, ["en"], limit=5)
    assert term == asked
    assert len(term) == MAX_WORD


def test_a_question_has_each_term_once_with_its_forms_in_all_languages() -> None:
    asked = wanted("Rosen, Rosen, roses", ["de", "en"], limit=10)
    assert asked == [("ros", "rosen"), ("ros", "rose")]
    assert wanted("the and of", ["en"], limit=10) == []
    assert wanted("園", ["ja"], limit=10) == [("園*",)]
    assert len(wanted(" ".join(f"word{n}" for n in range(1000)), ["en"], limit=64)) == 64


def test_lexemes_carry_their_tenant_and_how_often_they_occur() -> None:
    written, length = lexemes_of(17, ("Roses", "Roses and 'tulips'."), "en")
    assert (written, length) == ("'17.rose':1,2 '17.tulip':1", 3)
    assert counts(written) == {"17.rose": 2, "17.tulip": 1}
    often, length = lexemes_of(17, ("rose " * 1000,), "en")
    assert (counts(often), length) == ({"17.rose": 255}, 1000)
    assert lexemes_of(17, ("",), "en") == ("", 0)


@given(st.text(max_size=300), st.sampled_from(["", "en", "de", "ja", "xx", "de-AT"]))
@settings(deadline=None, max_examples=200)
def test_any_text_becomes_terms_that_need_no_quoting(text: str, language: str) -> None:
    for term in terms(text, language):
        assert re.fullmatch(r"[^\s'\\|&!()<>:*]+", term), ascii(term)
        assert len(term) <= 2 * MAX_WORD


def test_threads_do_not_mix_their_words_up() -> None:
    found: dict[int, set[tuple[str, ...]]] = {}

    def work(number: int) -> None:
        texts = [f"jumping{number}x{n} runners" for n in range(300)]
        found[number] = {tuple(terms(text, "en"))[1:] for text in texts}

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [{("runner",)}] * 4
