"""Work grows with the text and no faster, whatever the text."""

from __future__ import annotations

import pytest

from django_wp_ai.rag import tokens
from django_wp_ai.rag.chunking import cut
from tests.unit.policy.content.test_hostile_text import cpu_s

SIZE = 1 << 11
HOSTILE = {
    "one word": "x",
    "words": "word ",
    "sentences": "A word. ",
    "full stops": ".",
    "stops and quotes": '."',
    "stops and blanks": ". ",
    "blanks": " ",
    "a stop, then blanks": ".                                ",
    "line ends": "\n",
    "carriage returns": "\r",
    "tabs": "\t\n",
    "headings": "# h\n",
    "empty headings": "#\n",
    "deeper headings": "# a\n## b\n### c\n#### d\n",
    "underlines": "=\n",
    "rules": "---\n",
    "lists": "- a\n",
    "lists in lists": "- ",
    "three kinds of lists": "* a\n+ b\n- c\n",
    "numbers": "1. ",
    "quotes": "> ",
    "lines of quotes": "> a\nb\n",
    "fences": "```\n",
    "ticks": "`",
    "tables": "|a|b|\n|-|-|\n",
    "rows": "|a|b|\n|-|-|\n|c|d|\n\n",
    "pipes": "|",
    "tags": "<div>\n",
    "comments": "<!--\n",
    "brackets": "[",
    "definitions": "[a]: b\n",
    "marks": "\u0301",
    "joiners": "\u200d",
    "flags": "🇩🇪",
    "halves": "\ud83d",
    "ideographs": "漢",
    "Japanese sentences": "。",
    "Thai": "ก",
    "nulls": "\0",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE.keys())
def test_twice_the_text_is_about_twice_the_work(piece: str) -> None:
    once = piece * (SIZE // len(piece))
    small = cpu_s(lambda: cut(once, tokens=80, overlap=10, count=tokens.estimate))
    large = cpu_s(lambda: cut(once * 4, tokens=80, overlap=10, count=tokens.estimate))
    # Four times the text: linear is 4, quadratic 16.
    assert large < small * 8 + 0.002


def test_a_line_of_a_megabyte_is_cut() -> None:
    found = cut("no end of it " * 80_000, count=tokens.estimate)
    assert found[-1].end == 1_040_000 - 1
    assert {700 < piece.token_count <= 800 for piece in found[:-1]} == {True}


def test_a_table_of_a_thousand_columns_and_a_list_of_a_thousand_levels_are_cut() -> None:
    row = "|" + "a|" * 1000 + "\n"
    text = row + "|" + "-|" * 1000 + "\n" + row * 50 + "\n" + "\n".join("  " * depth + "- a" for depth in range(1000))
    assert all(piece.token_count <= 800 for piece in cut(text, count=tokens.estimate))
