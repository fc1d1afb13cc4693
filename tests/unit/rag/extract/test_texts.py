"""Texts in the encodings that sites have, Markdown, and tables."""

from __future__ import annotations

import pytest

from django_wp_ai.rag.extract import ExtractionFailed, extract
from django_wp_ai.rag.extract.decoding import clean, decode
from tests.unit.rag.extract.files import file, read_apart, read_here

GERMAN = "Die Werkstatt öffnet um neun Uhr. Größere Reparaturen dauern länger, außer für Räder aus Köln."


@pytest.mark.parametrize("name", ["latin-1.txt", "utf-8-bom.txt", "utf-16-be-no-mark.txt"])
def test_letters_come_right_whatever_the_encoding(name: str) -> None:
    assert extract(file(f"documents/{name}"), filename=name).text == GERMAN


def test_other_scripts_are_recognised() -> None:
    assert extract(file("documents/utf-16.txt")).text.startswith(f"{GERMAN}\n自転車の修理は九時から")
    assert extract(file("documents/shift-jis.txt")).text.startswith("自転車の修理は九時から受け付けます。")
    assert extract(file("documents/koi8-r.txt")).text.startswith("Мастерская открывается в девять часов.")


@pytest.mark.parametrize(
    ("data", "mime", "text"),
    [
        ("Zażółć".encode("cp1250"), "text/plain; charset=windows-1250", "Zażółć"),
        (b"<meta charset='iso-8859-1'>caf\xe9 \x80", "text/html", "<meta charset='iso-8859-1'>café €"),
        (b"caf\xe9", "text/plain; charset=no-such", "café"),
        (b"caf\xe9", "text/plain; charset=utf-8", "café"),
        (b"caf\xe9", "text/plain; charset=hex", "café"),
        ("höher".encode() + b"\xe9", "", "höher\ufffd"),
        (b"\xff\xfe\x00\x00" + "ab".encode("utf-32-le"), "", "ab"),
    ],
)
def test_what_a_page_says_of_its_encoding_is_believed_where_it_is_no_utf_8(data: bytes, mime: str, text: str) -> None:
    assert decode(data, mime=mime) == text


def test_what_a_database_refuses_is_gone() -> None:
    assert extract(file("hostile/nulls.txt")).text.startswith("Words with  nothing between them, and a bell ,")
    assert extract(file("hostile/surrogates.txt")).text == "before \ufffd after"
    assert (
        extract(file("hostile/surrogates-utf-8.txt")).text
        == "höher, größer, schöner \ufffd\ufffd\ufffd später, ähnlich"
    )
    assert clean("a\r\nb\rc\u2028d\fe\ud800\ufeff") == "a\nb\nc\nd\ne"


def test_markdown_stays_as_it_is_without_its_front_matter() -> None:
    found = extract(file("documents/notes.md"), filename="notes.md")
    assert (found.mime, found.title) == ("text/markdown", "Notes")
    assert found.text.startswith("# Repairs\n\nThe bicycle workshop")
    assert found.text.endswith("- one\n- two")
    assert extract(b"words\n\n# The *title* #\n", mime="text/markdown").title == "The *title*"
    assert extract(b"words", mime="text/markdown").title == ""


def test_csv_becomes_a_table() -> None:
    assert extract(file("documents/prices.csv"), filename="prices.csv").text == (
        "| Part | Price | Note |\n| --- | --- | --- |\n| Chain | 25,00 | fits; most \\| bicycles |\n| Bell | 9,00 |  |"
    )


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found(delimiter: str) -> None:
    data = "\n".join(delimiter.join(row) for row in (["a", "b c"], ["1", "2"])).encode()
    assert extract(data, mime="text/csv").text == "| a | b c |\n| --- | --- |\n| 1 | 2 |"


def test_a_table_is_bounded_like_any_text() -> None:
    found = read_apart(b"a,b\n" + b"word,word\n" * 100, mime="text/csv", extract_max_chars=200)
    assert found.truncated
    assert len(found.text) <= 200
    assert found.text.endswith(" |")


def test_a_field_without_an_end_is_told() -> None:
    with pytest.raises(ExtractionFailed, match="no end") as failed:
        read_apart(b'a;b\n"' + b"x" * 140_000, mime="text/csv")
    assert failed.value.code == "damaged"


def test_a_page_that_is_named_a_text_is_read_as_a_page() -> None:
    assert extract(file("hostile/page.txt"), mime="text/plain", filename="page.txt").text == "Words of a page."
    found = read_here("documents/page.html")
    assert found.title == "The workshop"
    assert "Menu" not in found.text
    assert "Imprint" not in found.text
