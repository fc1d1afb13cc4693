"""HTML as Markdown: of a site's posts, of whole pages, and of what other formats are turned into.

A reader of events, not of a tree: the trees that HTML's standard asks for grow with the square of some texts. libxml2
takes any length in a time that grows no faster, as long as what is open at once is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from django_wp_ai.rag.extract.decoding import clean
from django_wp_ai.rag.extract.elements import Elements
from django_wp_ai.rag.extract.markdown import Enough
from django_wp_ai.rag.extract.result import ExtractionFailed

#: Larger texts are read in a process apart.
MAX_INLINE_CHARS = 64 * 1024
MAX_CHARS = 2_000_000
_FED_AT_ONCE = 32 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """A page's text and the title in its head."""

    text: str
    title: str
    truncated: bool


def markdown_of(html: str) -> str:
    """The Markdown of a post's HTML; empty when there is no text in it.

    Takes about a millisecond for a usual post. What is longer than ``MAX_INLINE_CHARS`` goes to a process of its own,
    as ``extract`` would do it, and blocks. Raises ``ExtractionFailed``.
    """
    if len(html) <= MAX_INLINE_CHARS:
        return read(html).text
    from django_wp_ai.rag.extract import extract

    try:
        return extract(clean(html).encode("utf-8"), mime="text/html").text
    except ExtractionFailed as error:
        if error.code == "empty":
            return ""
        raise


def read(html: str, *, max_chars: int = MAX_CHARS) -> Page:
    """Read a page or a fragment; see ``elements`` for what is kept of it."""
    try:
        from lxml import etree
    except ImportError as error:
        raise ExtractionFailed("extra_missing", "Reading HTML needs: pip install 'django-wp-ai[rag]'") from error

    elements = Elements(max_chars)
    parser = etree.HTMLParser(target=elements, encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    source = clean(html).encode("utf-8")
    truncated = False
    try:
        for start in range(0, len(source), _FED_AT_ONCE):
            parser.feed(source[start : start + _FED_AT_ONCE])
        if source.strip():
            parser.close()
        elements.finish()
    except Enough:
        truncated = True
    except etree.LxmlError as error:
        raise ExtractionFailed("damaged") from error
    text = clean(elements.text())  # a character may have come by its name
    return Page(text[:max_chars], clean(elements.title), truncated or len(text) > max_chars)
