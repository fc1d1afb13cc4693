"""OpenDocument texts: their XML becomes HTML element by element, and that Markdown."""

from __future__ import annotations

from html import escape

from django_wp_ai.rag.extract import html, sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.packages import Package, walk, words_of
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

_NAMES = "urn:oasis:names:tc:opendocument:xmlns:"
_OFFICE, _TEXT, _TABLE = f"{_NAMES}office:1.0", f"{_NAMES}text:1.0", f"{_NAMES}table:1.0"
_SVG = f"{_NAMES}svg-compatible:1.0"
_TITLE = "http://purl.org/dc/elements/1.1/ title"
_ENCRYPTION = b"encryption-data"

_ELEMENTS = {
    f"{_TEXT} p": "p",
    f"{_TEXT} list": "ul",
    f"{_TEXT} list-item": "li",
    f"{_TEXT} list-header": "li",
    f"{_TABLE} table": "table",
    f"{_TABLE} table-row": "tr",
    f"{_TABLE} table-cell": "td",
    f"{_TABLE} covered-table-cell": "td",
}
#: What is no part of the text as it is read: remarks, what was deleted, names of fields.
_LEFT_OUT = {
    f"{_OFFICE} annotation",
    f"{_OFFICE} forms",
    f"{_OFFICE} scripts",
    f"{_TEXT} tracked-changes",
    f"{_TEXT} sequence-decls",
    f"{_TEXT} note-citation",
    f"{_TABLE} named-expressions",
}


class _Translation:
    """Takes the XML's events and writes HTML."""

    def __init__(self) -> None:
        self.html: list[str] = []
        self._open: list[str] = []  # the end tag of each element that is open
        self._left_out = 0
        self._in_text = False
        self._alt: list[str] | None = None

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._in_text = self._in_text or name == f"{_OFFICE} text"
        if self._left_out or name in _LEFT_OUT:
            self._left_out += 1
            return
        tag = _ELEMENTS.get(name, "")
        if name == f"{_TEXT} h":
            level = attributes.get(f"{_TEXT} outline-level", "1")
            tag = f"h{min(6, max(1, int(level)))}" if level.isdecimal() and len(level) < 3 else "h1"
        elif name in {f"{_SVG} title", f"{_SVG} desc"}:
            self._alt = []
        self._open.append(f"</{tag}>" if tag else "")
        self.html.append(f"<{tag}>" if tag else _blank(name))

    def end(self, name: str) -> None:
        if self._left_out:
            self._left_out -= 1
            return
        if self._alt is not None and name in {f"{_SVG} title", f"{_SVG} desc"}:
            self.html.append(f'<img alt="{escape("".join(self._alt))}">')
            self._alt = None
        self.html.append(self._open.pop())
        if name == f"{_OFFICE} text":
            self._in_text = False

    def text(self, data: str) -> None:
        if self._alt is not None:
            self._alt.append(data)
        elif self._in_text and not self._left_out:
            self.html.append(escape(data, quote=False))


def read(package: Package, limits: Limits) -> Extracted:
    """The body of the text; headers and footers of pages are not part of it."""
    if _ENCRYPTION in package.part("META-INF/manifest.xml"):
        raise ExtractionFailed("encrypted")
    if "content.xml" not in package:
        raise ExtractionFailed("damaged")
    translation = _Translation()
    walk(package.part("content.xml"), start=translation.start, end=translation.end, text=translation.text)
    page = html.read("".join(translation.html), max_chars=limits.extract_max_chars)
    title = words_of(package.part("meta.xml"), _TITLE)
    return Extracted(text=page.text, title=title, mime=sniffing.ODT, truncated=page.truncated)


def _blank(name: str) -> str:
    """What ODF writes as an element and HTML as a character."""
    if name == f"{_TEXT} line-break":
        return "<br>"
    if name in {f"{_TEXT} s", f"{_TEXT} tab", f"{_TEXT} note"}:
        return " "
    return ""
