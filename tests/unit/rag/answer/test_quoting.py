"""Words are found in a passage whatever way they are written, and shown as they stand there."""

from __future__ import annotations

import pytest

from django_wp_ai.rag.answer.quoting import Passage

PASSAGE = Passage(
    "# Hours\n\nOur **shop** opens at \u201cnine\u201d in the morning \u2014 see [the price list](https://a.example/x)."
    "\n\n- Bread &amp; butter\n- Cake\n\n| Day | Time |\n|---|---|\n| Mon | 9:00 |\n\n"
    "営業時間は午前9時から午後5時までです。 Die Stra\u00dfe ist gesperrt. Cre\u0301me br\u00fbl\u00e9e costs 5 \u20ac."
)


@pytest.mark.parametrize(
    ("quote", "shown"),
    [
        ('Our shop opens at "nine"', "Our **shop** opens at \u201cnine\u201d"),
        ("opens at nine in the morning", "opens at \u201cnine\u201d in the morning"),
        ("OPENS  at\nnine in", "opens at \u201cnine\u201d in"),
        (
            "in the morning - see the price list",
            "in the morning \u2014 see [the price list](https://a.example/x)",
        ),
        ("Bread & butter Cake", "Bread &amp; butter\n- Cake"),
        ("| Mon | 9:00 |", "Mon | 9:00"),
        ("午前９時から午後５時まで", "午前9時から午後5時まで"),
        ("die strasse ist gesperrt", "Die Stra\u00dfe ist gesperrt"),
        ("Cr\u00e9me br\u00fbl\u00e9e costs", "Cre\u0301me br\u00fbl\u00e9e costs"),
        ("shop opens at nine … see the price list", "**shop** opens at \u201cnine\u201d"),
        ("\u201cin the morning\u201d.", "in the morning"),
    ],
)
def test_a_quote_is_shown_as_it_stands_in_the_passage(quote: str, shown: str) -> None:
    assert PASSAGE.quoted(quote) == shown
    assert shown in PASSAGE.text


@pytest.mark.parametrize(
    "quote",
    [
        "Our shop closes at nine",
        "the shop",
        "nine",
        "9",
        "",
        " … ",
        "*_`",
        "hop opens at nine in the morn",
        "see the price list … shop opens at nine",
        "x" * 600,
        "\x00\ud800" * 9,
    ],
)
def test_what_is_not_there_or_says_nothing_is_no_quote(quote: str) -> None:
    assert PASSAGE.quoted(quote) is None


@pytest.mark.parametrize(
    ("sentence", "shown"),
    [
        ("You will find that the shop opens at nine in winter", "**shop** opens at \u201cnine\u201d in"),
        ("この店の営業時間は午前9時から夜まで", "営業時間は午前9時から"),
        ("Mon | 9:00", "Mon | 9:00"),
        ("The shop is open", None),
        ("in the", None),
        ("", None),
        ("word " * 2000, None),
    ],
)
def test_a_sentence_shares_a_run_of_words_that_is_long_enough_to_tell(sentence: str, shown: str | None) -> None:
    assert PASSAGE.shared(sentence) == shown


@pytest.mark.parametrize("text", ["", "[" * 5000, "&" * 5000, "**" * 5000, "](" * 3000, "-" * 5000, "\ud800"])
def test_hostile_passages_have_no_quotes(text: str) -> None:
    passage = Passage(text)
    assert passage.quoted("we open at nine") is None
    assert passage.shared("we open at nine every day of the week") is None
