"""What of a model's answer reaches a reader: its words, and the citations that hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from django_wp_ai.rag.answer.question import Citation, Source
from django_wp_ai.rag.answer.scanning import Marker, Scanner, Words, addresses_within

#: How far back the sentence that a marker ends is looked for.
REACH: Final = 400
_BOUNDARY = re.compile(r"[.!?:]\s|[\u3002\uff01\uff1f]|\n")
_ENDS = " \t\n.!?:\u3002\uff01\uff1f"
_SCHEME = re.compile(r"\Ahttps?://", re.IGNORECASE)
_CLOSING = frozenset(" \n\t.,;:!?)]}\u3001\u3002\uff01\uff1f\uff09")


class Checker:
    """Reads an answer piece by piece. ``citations`` are those of the markers that were shown, each quote once.

    A marker is shown as ``[2]`` when source 2 was given and has the quote; without a quote, when it has the words
    that the marker stands behind. All other markers are left out.
    """

    def __init__(self, sources: Iterable[Source], *, site_host: str) -> None:
        """URLs in the answer may lead to any page of ``site_host``, and to those of the sources."""
        self.citations: list[Citation] = []
        self._sources = {source.n: source for source in sources}
        self._site_host = site_host
        self._pages = {_page(source.url) for source in self._sources.values() if source.url}
        self._scanner = Scanner(is_known=self._is_known, is_quote=self._is_quote)
        self._said = ""
        self._blank = ""
        self._has_dropped = False
        self._last = ""  # the last character that was shown

    def feed(self, text: str) -> str:
        """What can be shown now."""
        return "".join(map(self._shown, self._scanner.feed(text)))

    def finish(self) -> str:
        """The rest, when the answer is over; blanks at its end are left out."""
        return "".join(map(self._shown, self._scanner.finish()))

    def _shown(self, token: Words | Marker) -> str:
        return self._marker(token) if isinstance(token, Marker) else self._words(token.text)

    def _words(self, text: str) -> str:
        if self._has_dropped and text[:1] in _CLOSING:
            self._blank = ""
        self._has_dropped = False
        self._said = (self._said + text)[-REACH:]
        body = text.rstrip()
        if not body:
            self._blank += text
            return ""
        return self._with_blank(body, text[len(body) :])

    def _with_blank(self, body: str, blank: str) -> str:
        """What is shown next; what Markdown would make a link or the definition of one is parted."""
        shown = self._blank + body
        if self._last == "]" and shown[0] in "(:":
            shown = f" {shown}"
        self._blank, self._last = blank, shown[-1]
        return shown

    def _marker(self, marker: Marker) -> str:
        held = "".join(f"[{number}]" for number in marker.numbers if self._cite(number, marker.quote))
        if not held:
            self._has_dropped = True
            return ""
        return self._with_blank(held, "")

    def _cite(self, number: int, quote: str) -> bool:
        source = self._sources.get(number)
        found = source and (source.quoted(quote) if quote else source.shared(self._sentence()))
        if not source or not found:
            return False
        cited = Citation(number, source.source_id, source.title, source.url, found.text, source.score, found.chunk_id)
        if cited not in self.citations:
            self.citations.append(cited)
        return True

    def _sentence(self) -> str:
        """What the marker stands behind, back to where its sentence begins."""
        said = self._said.rstrip(_ENDS)
        begins = [boundary.end() for boundary in _BOUNDARY.finditer(said)]
        return said[begins[-1] if begins else 0 :]

    def _is_quote(self, numbers: tuple[int, ...], quote: str) -> bool:
        return any(number in self._sources and self._sources[number].quoted(quote) for number in numbers)

    def _is_known(self, url: str) -> bool:
        return _page(url) in self._pages or all(map(self._is_ours, (url, *addresses_within(url))))

    def _is_ours(self, url: str) -> bool:
        try:
            parts = urlsplit(url if "://" in url else f"https://{url}")
            if parts.scheme not in ("http", "https") or parts.username:
                return False
            return parts.hostname == self._site_host or _page(url) in self._pages
        except ValueError:
            return False


def _page(url: str) -> str:
    """An address without what leads to the same page: the scheme, a fragment, a slash at its end."""
    return _SCHEME.sub("", url.partition("#")[0]).rstrip("/")
