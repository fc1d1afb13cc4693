"""The type comes from the bytes; names and headers only tell one sort of text from another."""

from __future__ import annotations

import pytest

from django_wp_ai.rag.extract import ExtractionFailed
from django_wp_ai.rag.extract.sniffing import sniff
from tests.unit.rag.extract.files import file


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("documents/text.pdf", "application/pdf"),
        ("documents/letter.rtf", "application/rtf"),
        ("documents/handbook.docx", "application/zip"),
        ("documents/scan.png", "image/png"),
        ("documents/scan.jpg", "image/jpeg"),
        ("documents/scan.gif", "image/gif"),
        ("documents/scan.tif", "image/tiff"),
        ("documents/scan.webp", "image/webp"),
        ("documents/page.html", "text/html"),
        ("documents/utf-16-be-no-mark.txt", "text/plain"),
        ("documents/shift-jis.txt", "text/plain"),
        ("hostile/page.txt", "text/html"),
        ("hostile/nulls.txt", "text/plain"),
        ("hostile/polyglot.pdf", "application/pdf"),
        ("hostile/polyglot.gif", "image/gif"),
    ],
)
def test_a_file_is_what_its_bytes_say(name: str, kind: str) -> None:
    assert sniff(file(name), mime="application/x-msdownload", filename="x.exe") == kind


@pytest.mark.parametrize(
    ("data", "hints", "kind"),
    [
        (b"a,b", {"filename": "x.CSV"}, "text/csv"),
        (b"a\tb", {"mime": "text/tab-separated-values"}, "text/csv"),
        (b"# a", {"mime": "text/markdown; charset=utf-8"}, "text/markdown"),
        (b"<div align=center>", {"filename": "README.md"}, "text/markdown"),
        (b"<div align=center>", {"filename": "x.csv"}, "text/html"),
        (b"words &amp; <b>more</b>", {"mime": "text/html"}, "text/html"),
        (b"words", {"mime": "application/xhtml+xml"}, "text/html"),
        (b"words", {"mime": "image/png", "filename": "x.pdf"}, "text/plain"),
        (b"<!-- wp:paragraph -->", {}, "text/html"),
        (b"<?xml version='1.0'?>\n<!-- x -->\n<!DOCTYPE html>", {}, "text/html"),
        (b"\xff\xfe" + "<html>".encode("utf-16-le"), {}, "text/html"),
        (b"\n %PDF-1.4", {}, "application/pdf"),
        (b"\x00\x01\x02\x03 junk %PDF-1.4", {}, "application/pdf"),
        (b"I < 3 and 3 > 2", {}, "text/plain"),
        (b"<!-- x -->" * 1000, {}, "text/plain"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", {"filename": "x.svg"}, "text/html"),
        (b"<!-- x -->\n" * 300 + b"<p>", {}, "text/html"),
        (b"<!-- no end", {}, "text/plain"),
    ],
)
def test_hints_tell_texts_apart_and_nothing_else(data: bytes, hints: dict[str, str], kind: str) -> None:
    assert sniff(data, **hints) == kind


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (b"", "empty", "empty"),
        (b" \r\n\t", "empty", "empty"),
        (b"\x00" * 5000, "empty", "empty"),
        (b" " * 5000 + b"x", "empty", "no text"),
        (file("hostile/program.pdf"), "unsupported_media", "a program"),
        (b"\x7fELF" + bytes(99), "unsupported_media", "a program"),
        (bytes(range(256)), "unsupported_media", "not read"),
        (file("hostile/old.doc"), "unsupported_media", "save it as DOCX"),
        (file("documents/encrypted.docx"), "encrypted", "password"),
    ],
)
def test_what_is_not_read_is_told_why(data: bytes, code: str, says: str) -> None:
    with pytest.raises(ExtractionFailed, match=says) as failed:
        sniff(data, mime="application/pdf", filename="x.docx")
    assert failed.value.code == code
    assert failed.value.status == 422
    assert failed.value.is_certain
