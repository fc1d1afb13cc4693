"""Texts as sites have them, cut where a reader would."""

from __future__ import annotations

from itertools import pairwise

import pytest

from django_wp_ai.rag.chunking import Piece, cut


def words(text: str) -> int:
    return len(text.split())


def pieces(text: str, *, tokens: int = 40, overlap: int = 0) -> list[Piece]:
    found = cut(text, tokens=tokens, overlap=overlap, count=words)
    assert all(text[piece.start : piece.end] == piece.content for piece in found)
    assert all(piece.token_count == words(piece.passage) for piece in found)
    return found


def sentence(subject: str, length: int = 8) -> str:
    return " ".join([subject.capitalize(), *["word"] * (length - 2), "end."])


def test_a_short_text_is_one_piece_without_the_blanks_around_it() -> None:
    assert pieces("\n  Hello world. \n\n") == [Piece("Hello world.", (), 3, 15, 2)]


@pytest.mark.parametrize("text", ["", " ", "\n\n\t \r\n", "\u3000"])
def test_nothing_is_cut_into_nothing(text: str) -> None:
    assert pieces(text) == []


def test_a_section_is_a_piece_with_its_headings() -> None:
    first = f"# Shop\n\n{sentence('welcome')}\n\n## Prices\n\n{sentence('prices')}"
    text = f"{first}\n\n## *Opening* hours\n\n{sentence('hours')}\n"
    found = pieces(text)
    assert [piece.heading_path for piece in found] == [("Shop",), ("Shop", "Prices"), ("Shop", "Opening hours")]
    assert found[2].content == f"## *Opening* hours\n\n{sentence('hours')}"


def test_headings_without_text_go_with_what_follows() -> None:
    text = f"# Shop\n\n## Prices\n\n### Shoes\n\n{sentence('shoes')}"
    (piece,) = pieces(text)
    assert piece.content == text
    assert piece.heading_path == ("Shop", "Prices", "Shoes")


def test_a_heading_never_ends_a_piece() -> None:
    text = f"{sentence('one', 20)}\n\n{sentence('two', 15)}\n\n## Three\n\n" + "\n\n".join([sentence("three", 20)] * 2)
    assert all("## Three" not in piece.content or piece.content.startswith("## Three") for piece in pieces(text))


def test_only_headings_are_still_found() -> None:
    (piece,) = pieces("# A\n\n## B\n\n# C\n")
    assert (piece.content, piece.heading_path) == ("# A\n\n## B\n\n# C", ())


def test_a_heading_of_a_higher_level_ends_those_below() -> None:
    text = (
        f"Setext\n===\n\n### Deep\n\n{sentence('deep')}\n\n## Less\n\n{sentence('less')}\n\n# New\n\n{sentence('new')}"
    )
    paths = [piece.heading_path for piece in pieces(text)]
    assert paths == [("Setext", "Deep"), ("Setext", "Less"), ("New",)]


def test_what_looks_like_a_heading_in_code_is_none() -> None:
    text = f"# Real\n\n```sh\n# not a heading\n```\n\n{sentence('after')}"
    (piece,) = pieces(text)
    assert piece.heading_path == ("Real",)


def test_tiny_sections_join_the_next_under_the_heading_they_share() -> None:
    text = f"# Shop\n\n## Fax\n\nNone.\n\n## Mail\n\n{sentence('mail')}"
    (piece,) = pieces(text, tokens=80)
    assert piece.heading_path == ("Shop",)


def test_a_tiny_last_section_joins_the_piece_before_it() -> None:
    text = f"# Shop\n\n{sentence('shop')}\n\n## Fax\n\nNone."
    (piece,) = pieces(text, tokens=80)
    assert (piece.content, piece.heading_path) == (text, ("Shop",))


def test_a_text_is_cut_between_paragraphs_where_one_ends_in_the_second_half() -> None:
    paragraph = f"{sentence('one')} {sentence('two')} {sentence('three')}"
    text = "\n\n".join([paragraph] * 6)
    assert [piece.content for piece in pieces(text)] == [paragraph] * 6


def test_sentences_are_kept_whole() -> None:
    text = " ".join(sentence(f"s{number}") for number in range(40))
    found = pieces(text, overlap=10)
    assert len(found) > 5
    assert all(piece.content.startswith("S") and piece.content.endswith("end.") for piece in found)


def test_pieces_of_a_section_overlap_by_whole_sentences() -> None:
    text = " ".join(sentence(f"s{number}") for number in range(40))
    found = pieces(text, overlap=10)
    for before, after in pairwise(found):
        shared = text[after.start : before.end]
        assert words(shared) == 8
        assert shared == sentence(shared.split()[0])


def test_sections_do_not_overlap() -> None:
    text = "\n\n".join(f"# H{number}\n\n{sentence('one', 30)} {sentence('two', 30)}" for number in range(3))
    found = pieces(text, overlap=10)
    starts = [piece for piece in found if piece.content.startswith("#")]
    assert [piece.heading_path for piece in starts] == [("H0",), ("H1",), ("H2",)]


def test_the_end_of_a_section_is_not_left_as_a_crumb() -> None:
    text = " ".join(sentence(f"s{number}", 6) for number in range(7))  # 42 words, of which 40 would fit
    assert [piece.token_count for piece in pieces(text)] == [24, 18]


def test_the_items_of_a_list_are_kept_whole() -> None:
    text = "\n".join(f"- {sentence(f's{number}')}" for number in range(12))
    assert all(piece.content.startswith("- S") and piece.content.endswith("end.") for piece in pieces(text))


def table(rows: int) -> str:
    return "| name | price |\n|---|---|\n" + "".join(f"| thing {n} | {n} euros |\n" for n in range(rows))


def test_a_table_is_cut_between_rows_and_its_head_goes_with_each_part() -> None:
    text = f"# Prices\n\n{table(30)}"
    found = pieces(text)
    assert len(found) > 4
    assert found[0].header == ""
    for piece in found[1:]:
        assert piece.header == "| name | price |\n|---|---|\n"
        assert piece.content.startswith("| thing")
        assert piece.content.endswith("euros |")
        assert piece.passage == piece.header + piece.content
        assert piece.token_count <= 40


def test_a_head_too_large_to_be_repeated_is_not() -> None:
    head = f"| {'word ' * 30}|\n|---|\n"
    found = pieces(head + "".join(f"| row {n} |\n" for n in range(30)))
    assert {piece.header for piece in found} == {""}


def test_a_row_too_long_for_a_piece_is_cut_between_words() -> None:
    text = f"| a |\n|---|\n| {'word ' * 100}|\n"
    assert all(piece.token_count <= 40 for piece in pieces(text))


def test_code_is_cut_between_lines_and_its_fences_do_not_stand_alone() -> None:
    text = "```python\n" + "".join(f"line_{n} = call(a, b)\n" for n in range(60)) + "```\n"
    found = pieces(text)
    assert found[0].content.startswith("```python\nline_0 ")
    assert found[-1].content.endswith("line_59 = call(a, b)\n```")
    assert all(piece.content.startswith(("line_", "```python")) for piece in found)


def test_windows_line_ends_stay_as_they_are() -> None:
    text = "# Shop\r\n\r\nFirst line.\r\nSecond line.\r\n\r\n## Prices\r\n\r\n" + sentence("x").replace(" ", "\r\n")
    found = pieces(text)
    assert [piece.heading_path for piece in found] == [("Shop",), ("Shop", "Prices")] or len(found) == 1
    assert "\r\n" in found[0].content


def test_one_huge_word_is_cut_into_pieces_of_the_budget() -> None:
    found = cut("x" * 10_000, tokens=100, overlap=10, count=len)
    assert {piece.token_count for piece in found[:-1]} <= set(range(50, 101))
    assert found[-1].end == 10_000


def test_texts_without_blanks_are_cut_behind_their_sentences() -> None:
    text = "当店の営業時間は九時から十八時までです。日曜日はお休みをいただいております。" * 40
    found = cut(text, tokens=200, overlap=40, count=len)
    assert all(piece.content.endswith("。") for piece in found)
    assert all(piece.token_count <= 200 for piece in found)


def test_thai_is_cut_between_phrases() -> None:
    text = "เวลาเปิดทำการของร้านเราเปลี่ยนไปตั้งแต่ต้นเดือน กรุณาสอบถามที่เคาน์เตอร์หากคุณต้องการความช่วยเหลือ " * 30
    found = cut(text, tokens=200, overlap=0, count=len)
    assert all(piece.content.startswith(("เวลา", "กรุณา")) for piece in found)


@pytest.mark.parametrize("cluster", ["e\u0301\u0323", "👩\u200d🚀", "ก็ำ", "\ud83d\ude00", "👍🏽", "\r\n"])
def test_what_readers_see_as_one_character_is_not_cut(cluster: str) -> None:
    text = "a" + cluster * 300
    for piece in cut(text, tokens=30, overlap=0, count=len):
        assert (piece.start - 1) % len(cluster) == 0 or piece.start == 0


def test_a_code_point_of_more_tokens_than_a_piece_may_have_is_a_piece() -> None:
    found = cut("ab", tokens=2, overlap=0, count=lambda text: 5 * len(text))
    assert [(piece.content, piece.token_count) for piece in found] == [("a", 5), ("b", 5)]


@pytest.mark.parametrize(("tokens", "overlap"), [(0, 0), (10, 10), (10, -1), (-5, 0)])
def test_a_budget_that_can_not_be_kept_is_refused(tokens: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        cut("text", tokens=tokens, overlap=overlap, count=len)
