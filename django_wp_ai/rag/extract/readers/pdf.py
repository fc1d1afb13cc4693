"""PDF: the text layer by PDFium; pages that are pictures of text by text recognition."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from django_wp_ai.rag.extract import ocr, sniffing
from django_wp_ai.rag.extract.decoding import clean
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.lines import paragraphs
from django_wp_ai.rag.extract.markdown import Enough, Writer
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

OCR_DPI = 300
MAX_RENDERED_PIXELS = 25_000_000
MAX_BOOKMARKS = 5_000
#: A page with fewer letters and something drawn on it is taken for a picture of text.
FEW_LETTERS = 16
_NEEDS_PASSWORD, _IS_SECURED = 4, 5  # PDFium's codes
_CUT_WORD = "\ufffe\n"  # PDFium's mark of a word that a line's end cuts


def read(data: bytes, *, kind: str, mime: str, limits: Limits) -> Extracted:
    """Page by page; headings are the lines that the document's outline names."""
    import pypdfium2

    logging.getLogger("pypdfium2").setLevel(logging.ERROR)
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        is_locked = error.err_code in {_NEEDS_PASSWORD, _IS_SECURED}
        raise ExtractionFailed("encrypted" if is_locked else "damaged") from error
    with closing(document):
        pages = len(document)
        if pages > limits.extract_max_pages:
            detail = f"The file has {pages} pages, more than {limits.extract_max_pages}."
            raise ExtractionFailed("too_many_pages", detail)
        return _Reading(document, limits).all_pages()


class _Reading:
    """One document under way."""

    def __init__(self, document: Any, limits: Limits) -> None:
        self._document = document
        self._limits = limits
        self._writer = Writer(limits.extract_max_chars)
        self._headings = dict(_outline(document))
        self._recogniser = ocr.Recogniser(limits)
        self._unread = self._broken = 0

    def all_pages(self) -> Extracted:
        truncated = False
        try:
            for number in range(len(self._document)):
                self._page(number)
        except Enough:
            truncated = True
        text = self._writer.text()
        if not text:
            self._nothing()
        metadata = self._document.get_metadata_dict(skip_empty=True)
        return Extracted(
            text=text,
            title=" ".join(clean(metadata.get("Title", "")).split()),
            mime=sniffing.PDF,
            pages=len(self._document),
            ocr_pages=self._recogniser.pages,
            unread_pages=self._unread + self._broken,
            truncated=truncated or bool(self._unread + self._broken),
        )

    def _page(self, number: int) -> None:
        import pypdfium2

        try:
            with closing(self._document[number]) as page:
                text = self._text_of(page)
        except pypdfium2.PdfiumError:
            self._broken += 1
            return
        headings = self._headings.get(number, {})
        for words in paragraphs(text, keep=frozenset(headings)):
            if words in headings:
                self._writer.heading(headings[words], words)
            else:
                self._writer.paragraph(words)

    def _text_of(self, page: Any) -> str:
        with closing(page.get_textpage()) as layer:
            text = clean(layer.get_text_bounded().replace("\r\n", "\n").replace(_CUT_WORD, ""))
        if sum(map(str.isalnum, text[:1000])) >= FEW_LETTERS or not _is_drawn_on(page):
            return text
        recognised = None
        if self._recogniser.can_go_on():
            recognised = self._recogniser.text_of(_rendered(page, self._limits))
        self._unread += recognised is None
        return max(text, recognised or "", key=len)

    def _nothing(self) -> None:
        """Why there is no text; where there simply is none, ``reading`` says so."""
        if self._unread and not self._recogniser.pages:
            raise self._recogniser.failure()
        if self._broken:
            raise ExtractionFailed("damaged")


def _outline(document: Any) -> Iterator[tuple[int, dict[str, int]]]:
    """The titles of the outline with their levels, by the page that they lead to."""
    import pypdfium2

    by_page: dict[int, dict[str, int]] = {}
    for count, bookmark in enumerate(document.get_toc(max_depth=6)):
        if count == MAX_BOOKMARKS:
            break
        try:
            target = bookmark.get_dest()
            page = target.get_index() if target else None
            title = " ".join(clean(bookmark.get_title() or "").split())
        except (pypdfium2.PdfiumError, ValueError):
            continue
        if page is not None and title:
            by_page.setdefault(page, {}).setdefault(title, min(6, bookmark.level + 1))
    yield from by_page.items()


def _is_drawn_on(page: Any) -> bool:
    return next(page.get_objects(max_depth=1), None) is not None


def _rendered(page: Any, limits: Limits) -> Any:
    """The page as a grey image, smaller than OCR would like where the page is huge."""
    width, height = page.get_size()
    scale = OCR_DPI / 72
    allowed = min(limits.extract_max_pixels, MAX_RENDERED_PIXELS)
    if (pixels := width * height * scale * scale) > allowed:
        scale *= (allowed / pixels) ** 0.5
    return page.render(scale=scale, grayscale=True).to_pil()
