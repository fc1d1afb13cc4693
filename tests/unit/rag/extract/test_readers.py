"""What is kept of each sort of file."""

from __future__ import annotations

import io
import zipfile

import pytest

from django_wp_ai.rag.extract import Extracted, ExtractionFailed
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.lines import paragraphs, without_gaps
from django_wp_ai.rag.extract.reading import read
from tests.unit.rag.extract.files import file, read_here

PARAGRAPH = (
    "The bicycle workshop opens at nine and closes at five. A repair that is handed in before noon is ready on the "
    "next day, unless a part has to be ordered from the manufacturer."
)
HANDBOOK = f"# Repairs\n\n{PARAGRAPH}\n\n## Prices\n\n- Front wheel\n- Rear wheel\n"
PRICES = "| Part | Price |\n| --- | --- |\n| Chain | 25 euros |\n\n"


def test_docx_keeps_headings_lists_tables_and_alternative_texts() -> None:
    found = read_here("documents/handbook.docx")
    assert found.text == (
        f"{HANDBOOK}1. Bring the bicycle\n2. Wait for a call\n\n{PRICES}![A bicycle on its stand]()\n\nWhat was left."
    )
    assert found.title == "Handbook of the workshop"
    assert found.mime.endswith("wordprocessingml.document")


def test_an_image_that_lies_elsewhere_is_not_fetched() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file("documents/handbook.docx"))) as sound, zipfile.ZipFile(out, "w") as led_away:
        for name in sound.namelist():
            part = sound.read(name).replace(b"r:embed=", b"r:link=")
            target = b'Target="http://192.0.2.1/x.png" TargetMode="External"'
            led_away.writestr(name, part.replace(b'Target="media/image1.png"', target))
    assert b"192.0.2.1" in zipfile.ZipFile(out).read("word/_rels/document.xml.rels")
    found = read(out.getvalue(), kind="application/zip", limits=Limits())
    assert "![A bicycle on its stand]()" in found.text


def test_odt_keeps_the_same() -> None:
    found = read_here("documents/handbook.odt")
    assert found.text == f"{HANDBOOK}\n{PRICES}What was left.![A bicycle on its stand]()"
    assert found.title == "Handbook of the workshop"
    assert found.mime == "application/vnd.oasis.opendocument.text"


def odt(body: str) -> Extracted:
    names = "urn:oasis:names:tc:opendocument:xmlns"
    spaces = f'xmlns:office="{names}:office:1.0" xmlns:text="{names}:text:1.0"'
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        archive.writestr("content.xml", f"<office:d {spaces}><office:text>{body}</office:text></office:d>")
    return read(out.getvalue(), kind="application/zip", limits=Limits())


def test_odt_leaves_out_remarks_and_what_was_deleted() -> None:
    body = (
        '<text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h text:outline-level="12">A</text:h>'
        "<text:p>b<office:annotation><text:p>remark</text:p></office:annotation><text:tab/>&lt;c&gt;<text:line-break/>d"
        "<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>note</text:p></text:note-body>"
        "</text:note></text:p>"
    )
    assert odt(body).text == "###### A\n\nb <c>\nd\n\nnote"
    assert odt('<text:h text:outline-level="x">A</text:h>').text == "# A"


def test_rtf_keeps_its_words_by_paragraph() -> None:
    assert read_here("documents/letter.rtf").text == (
        "Dear customer,\n\nYour bicycle from Köln is ready.\n\n|Chain|25 euros|\n\n\\# no heading\n\n日本"
    )
    assert read_here("documents/letter.rtf", extract_max_chars=20).truncated


def test_pdf_keeps_its_text_and_takes_headings_from_the_outline() -> None:
    found = read_here("documents/text.pdf")
    assert found == Extracted(
        text=f"# Repairs\n\n## Opening hours\n\n{PARAGRAPH}\n\n"
        "The second page has a word that is cut at the end of a workshop line.",
        title="The workshop's handbook",
        mime="application/pdf",
        pages=2,
    )


def test_a_long_pdf_is_read_to_its_bounds() -> None:
    found = read_here("documents/pages-300.pdf")
    assert found.pages == 300
    assert found.text.endswith("This is page 300 of a long manual.")
    assert read_here("documents/pages-300.pdf", extract_max_chars=500).truncated
    with pytest.raises(ExtractionFailed, match="300 pages, more than 299") as failed:
        read_here("documents/pages-300.pdf", extract_max_pages=299)
    assert failed.value.code == "too_many_pages"


@pytest.mark.parametrize("name", ["encrypted.pdf", "encrypted.odt"])
def test_what_needs_a_password_is_told(name: str) -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_here(f"documents/{name}")
    assert failed.value.code == "encrypted"


def test_a_zip_file_with_a_password_is_told() -> None:
    data = bytearray(file("documents/handbook.odt"))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ExtractionFailed) as failed:
        read(bytes(data), kind="application/zip", limits=Limits())
    assert failed.value.code == "encrypted"


@pytest.mark.parametrize(("mark", "what"), [("spreadsheetml", "a workbook"), ("presentationml", "a presentation")])
def test_other_office_files_are_told_by_name(mark: str, what: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("[Content_Types].xml", f"<Types>{mark}</Types>")
    with pytest.raises(ExtractionFailed, match=what) as failed:
        read(out.getvalue(), kind="application/zip", limits=Limits())
    assert failed.value.code == "unsupported_media"


def test_lines_of_a_page_are_joined_to_paragraphs() -> None:
    text = (
        "This line is long enough to go on in the next one and is cut-\nting a word, as lines of a printed page "
        "often do it, you know.\nShort end.\n\u2022 an item\n2. another item\n\nNew paragraph\n自転車の修理は九時から"
    )
    assert paragraphs(text) == [
        "This line is long enough to go on in the next one and is cutting a word, as lines of a printed page often "
        "do it, you know. Short end.",
        "- an item",
        "2. another item",
        "New paragraph",
        "自転車の修理は九時から",
    ]
    wide = "自転車の修理は九時から受け付けます。部品の注文には一週間かかります。詳しくは店の者に"
    assert paragraphs(f"{wide}\n{wide}\n終") == [f"{wide}{wide}終"]
    long = "A line of a good length that goes on with a word which the end of a work-"
    assert paragraphs(f"{long}\nshop cuts") == [f"{long[:-1]}shop cuts"]
    assert paragraphs("") == []


def test_blanks_between_wide_characters_are_no_words_ends() -> None:
    assert without_gaps("自転 車 の 修理 at 9 時") == "自転車の修理 at 9 時"


def test_a_title_is_bounded_as_a_text_is() -> None:
    page = f"<html><head><title>{'long ' * 50_000}</title></head><body><p>Words.</p></body></html>"
    assert read(page.encode(), kind="text/html", limits=Limits()).title == ("long " * 100)[:500]
