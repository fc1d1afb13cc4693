"""What a file is, from its first bytes. Names and headers only tell one sort of text from another."""

from __future__ import annotations

import re
from pathlib import PurePath

from django_wp_ai.rag.extract.result import ExtractionFailed

HEAD_BYTES = 4096

HTML, MARKDOWN, CSV, PLAIN = "text/html", "text/markdown", "text/csv", "text/plain"
TEXTS = frozenset({HTML, MARKDOWN, CSV, PLAIN})
PDF, RTF, ZIP = "application/pdf", "application/rtf", "application/zip"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
ODT = "application/vnd.oasis.opendocument.text"
PNG, JPEG, GIF, TIFF, WEBP = "image/png", "image/jpeg", "image/gif", "image/tiff", "image/webp"
IMAGES = frozenset({PNG, JPEG, GIF, TIFF, WEBP})

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", PNG),
    (b"\xff\xd8\xff", JPEG),
    (b"GIF87a", GIF),
    (b"GIF89a", GIF),
    (b"II*\x00", TIFF),
    (b"MM\x00*", TIFF),
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),
    (b"{\\rtf", RTF),
)
_COMPOUND = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Office's older container, and of its encrypted files
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_UNICODE_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
_BLANKS = b" \t\r\n\f"
_CONTROLS = bytes({*range(32)} - {*b"\t\n\f\r\x1b"}) + b"\x7f"
_HTML_BEGINNING = re.compile(
    r"<(?:!doctype\s+html|html|head|body|title|meta|script|style|"
    r"div|section|article|main|header|p|h[1-6]|ul|ol|table|figure|blockquote|pre|span|img|svg|a)[\s/>]",
    re.IGNORECASE,
)
_BLANK = re.compile(r"\s*")
_SORTS = {"html": HTML, "htm": HTML, "xhtml": HTML, "md": MARKDOWN, "markdown": MARKDOWN, "csv": CSV, "tsv": CSV}
_HINTS = {HTML: HTML, "application/xhtml+xml": HTML, MARKDOWN: MARKDOWN, "text/x-markdown": MARKDOWN, CSV: CSV}
_HINTS["text/tab-separated-values"] = CSV


def sniff(data: bytes, *, mime: str = "", filename: str = "") -> str:
    """The media type by the first bytes; ``ZIP`` for what is packed so, which only a look inside tells apart.

    Raises ``ExtractionFailed``: ``empty``, ``encrypted``, ``unsupported_media``.
    """
    head = data[:HEAD_BYTES]
    if not head.strip(_BLANKS + b"\x00"):
        raise ExtractionFailed("empty", "The file is empty." if not data.strip(_BLANKS + b"\x00") else "")
    if head.startswith(_COMPOUND):
        if _ENCRYPTED_PACKAGE in data:
            raise ExtractionFailed("encrypted")
        raise ExtractionFailed("unsupported_media", "Office files of before 2007 are not read; save it as DOCX.")
    for beginning, found in _BEGINNINGS:
        if head.startswith(beginning):
            return found
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return WEBP
    if head.lstrip(_BLANKS).startswith(b"%PDF-"):
        return PDF
    if looks_like_text(head):
        return _sort_of_text(head, mime, filename)
    if b"%PDF-" in head[:1024]:  # readers of PDF allow for so much before it
        return PDF
    raise ExtractionFailed("unsupported_media", _what(head))


def looks_like_text(head: bytes) -> bool:
    """Whether a beginning is text in some encoding: a mark of Unicode, UTF-16, or next to no control characters."""
    if head.startswith(_UNICODE_MARKS):
        return True
    return bool(wide_encoding(head)) or len(head) - len(head.translate(None, _CONTROLS)) <= len(head) // 20


def wide_encoding(head: bytes) -> str:
    """UTF-16 without a mark: most characters of most texts have one empty byte, all on the same side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    enough = max(2, len(head) // 5)
    if odd >= enough and even <= odd // 16:
        return "utf-16-le"
    return "utf-16-be" if even >= enough and odd <= even // 16 else ""


def _sort_of_text(head: bytes, mime: str, filename: str) -> str:
    sort = _SORTS.get(PurePath(filename).suffix.lower().lstrip("."))
    hint = _HINTS.get(mime.partition(";")[0].strip().lower()) or sort or PLAIN
    text = head.decode(_encoding_of(head), errors="replace").lstrip("\ufeff")
    if hint == MARKDOWN:
        return MARKDOWN
    return HTML if _begins_as_html(text) else hint


def _begins_as_html(text: str) -> bool:
    """Behind an XML declaration and comments, of which the head may be full."""
    at = _BLANK.match(text, 0).end()  # type: ignore[union-attr]  # it matches nothing, too
    while text.startswith(("<?xml", "<!--"), at):
        if text.startswith("<!-- wp:", at):
            return True
        mark = "?>" if text[at + 1] == "?" else "-->"
        end = text.find(mark, at)
        if end < 0:
            return False
        at = _BLANK.match(text, end + len(mark)).end()  # type: ignore[union-attr]
    return bool(_HTML_BEGINNING.match(text, at))


def _encoding_of(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return wide_encoding(head) or "utf-8"


def _what(head: bytes) -> str:
    """A word for what people rename most."""
    for beginning, what in ((b"MZ", "a program"), (b"\x7fELF", "a program"), (b"Rar!", "an archive")):
        if head.startswith(beginning):
            return f"The file is {what}, whatever its name says."
    return ""
