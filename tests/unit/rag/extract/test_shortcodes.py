"""Shortcodes go, words in brackets stay."""

from __future__ import annotations

import pytest

from django_wp_ai.rag.extract.html import markdown_of
from django_wp_ai.rag.extract.shortcodes import strip


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('a [gallery ids="1,2"] b', "a  b"),
        ("[gallery]", ""),
        ("[caption id='x' width=\u201c300\u201d]The bike[/caption]", "The bike"),
        ("[vc_row][vc_column width='1/2']Text[/vc_column][/vc_row]", "Text"),
        ("[ai_chat] [contact-form-7 id=1]", " "),
        ("[note]kept[/note]", "kept"),
        ("[shop /]", ""),
        ("[Button url=https://x.example]Go[/button]", "Go"),
        ("[[gallery]] [[x y=1]z[/x]]", "[gallery] [z]"),
        ("[sic] [1] [see below] a[i] [] [!] [x", "[sic] [1] [see below] a[i] [] [!] [x"),
        ("no bracket", "no bracket"),
    ],
)
def test_shortcodes_go_and_their_text_stays(source: str, text: str) -> None:
    assert strip(source) == text


def test_they_are_found_over_the_mark_up_between_them_and_not_in_code() -> None:
    source = '[caption id="a"]<img alt="A bike"> Mine[/caption]<code>[ai_chat]</code><pre>[gallery ids="1"]</pre>'
    assert markdown_of(source) == '![A bike]() Mine`[ai_chat]`\n\n```\n[gallery ids="1"]\n```'
