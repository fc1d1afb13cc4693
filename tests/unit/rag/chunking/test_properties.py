"""What holds of every text."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_wp_ai.rag.chunking import cut
from django_wp_ai.rag.chunking.structure import blocks

BITS = [
    *(
        "# Title\n",
        "## Sub *title*\n",
        "#\n",
        "Under\n===\n",
        "- ",
        "1. ",
        "> ",
        "```\n",
        "~~~\n",
        "    code\n",
        "\n",
        "\n\n",
    ),
    *(
        "| a | b |\n|---|---|\n",
        "| 1 | 2 |\n",
        "|",
        "word ",
        "word. ",
        "Dr. Who! ",
        "\r\n",
        "\r",
        "\t",
        " ",
        "\u3000",
        "\u00a0",
    ),
    *(
        "日本語。",
        "ไทย",
        "e\u0301",
        "\u0301",
        "👩\u200d🚀",
        "\ud83d\ude00",
        "\ud800",
        "\x00",
        "<div>\n",
        "<!-- ",
        "***\n",
    ),
    *("x" * 50, "\u2028", "\x85", "\x0b", "\x1c", "---\n"),
]
MARKDOWN = st.lists(
    st.sampled_from(BITS) | st.text(alphabet=st.characters(exclude_categories=[]), max_size=20), max_size=60
).map("".join)
COUNTS: dict[str, Callable[[str], int]] = {
    "characters": len,
    "bytes": lambda text: len(text.encode("utf-8", "surrogatepass")),
    "words": lambda text: len(text.split()),
    "nothing": lambda text: 0,
    "more together": lambda text: len(text) + len(text) ** 2 // 50,
}


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=MARKDOWN, count=st.sampled_from(sorted(COUNTS)), tokens=st.integers(1, 60), share=st.floats(0, 0.99))
def test_pieces_are_the_text_in_order_and_within_the_budget(text: str, count: str, tokens: int, share: float) -> None:
    overlap = int(tokens * share)
    found = cut(text, tokens=tokens, overlap=overlap, count=COUNTS[count])
    covered: set[int] = set()
    for piece in found:
        assert piece.content == text[piece.start : piece.end] == piece.content.strip() != ""
        assert piece.token_count == COUNTS[count](piece.passage)
        assert piece.token_count <= tokens or len(piece.passage) == 1
        covered.update(range(piece.start, piece.end))
    assert {position for position, character in enumerate(text) if not character.isspace()} <= covered
    for before, after in pairwise(found):
        assert before.start <= after.start
        assert before.end < after.end
    assert found == cut(text, tokens=tokens, overlap=overlap, count=COUNTS[count])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=MARKDOWN, tokens=st.integers(2, 60))
def test_what_is_repeated_stands_in_one_section_and_is_no_more_than_was_asked(text: str, tokens: int) -> None:
    overlap = tokens // 3
    found = cut(text, tokens=tokens, overlap=overlap, count=len)
    sections = {block.start: block.section for block in blocks(text)}
    for before, after in pairwise(found):
        if after.start < before.end:
            assert before.end - after.start <= overlap
            begins = [start for start in sections if start < before.end]
            spanned = {sections[start] for start in begins if start > after.start} | {
                sections[max(start for start in begins if start <= after.start)]
            }
            assert len(spanned) == 1


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=MARKDOWN)
def test_blocks_are_the_text(text: str) -> None:
    found = blocks(text)
    assert "".join(text[block.start : block.end] for block in found) == text
