"""A model's answer parted, as it comes, into words, citation markers and links; an unfinished one waits for its end."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from urllib.parse import unquote

from django_wp_ai.rag.answer.code import Code

LONGEST_QUOTE: Final = 600
LONGEST_URL: Final = 2000
HIDDEN_URL: Final = "…"
_OPEN = r"[\"'\u2018\u201a\u201c\u201d\u201e\u00ab\u00bb\u2039\u203a\u300c\u300e]"
_CLOSE = r"[\"'\u2018\u2019\u201c\u201d\u00ab\u00bb\u2039\u203a\u300d\u300f]"
_NUMBERS = r"\s{0,2}\^?(?P<numbers>\d{1,3}(?:\s{0,2}[,;&\u2013-]\s{0,2}\d{1,3}){0,9})(?!\d)"
_PARTED = r"\s{0,2}[,;:\u2013\u2014-]?\s{0,2}"
_INSIDE = rf"(?:(?!\n\s*\n).){{1,{LONGEST_QUOTE}}}?"
#: ``[2]``, ``[1, 3]``, ``[2 "words of source 2"]``, and what models make of it.
_MARKER = re.compile(
    rf"[\[\u3010]{_NUMBERS}{_PARTED}"
    rf"(?:{_OPEN}(?P<quote>{_INSIDE}){_CLOSE}[.,;]?|(?P<bare>[^\]\u3011\n]{{1,{LONGEST_QUOTE}}}))?\s{{0,2}}[\]\u3011]",
    re.DOTALL,
)
_UNFINISHED_MARKER = re.compile(
    rf"[\[\u3010]\s{{0,2}}(?:\^?|{_NUMBERS}{_PARTED}"
    rf"(?:{_OPEN}(?:(?!\n\s*\n).){{0,{LONGEST_QUOTE + 4}}}|[^\]\u3011\n]{{0,{LONGEST_QUOTE}}})\s{{0,2}})",
    re.DOTALL,
)
_LONGEST_MARKER: Final = LONGEST_QUOTE + 150  # with its brackets, numbers and what parts them from a quote
_CLOSING_BRACKET = re.compile(r"[\]\u3011]")
_PLAIN = rf"[^()\n]{{0,{LONGEST_URL}}}"
_BEGUN_TARGET = rf"\({_PLAIN}(?:\([^()\n]{{0,300}}\){_PLAIN}){{0,3}}"  # parentheses in it come in pairs
_TARGET = rf"{_BEGUN_TARGET}\)"
_UNFINISHED_TARGET = rf"{_BEGUN_TARGET}(?:\([^()\n]{{0,300}})?"
_LINK = re.compile(rf"(?P<image>!?)\[(?P<text>[^\[\]\n]{{0,300}})\](?P<target>{_TARGET})")
_UNFINISHED_LINK = re.compile(rf"!?\[[^\[\]\n]{{0,300}}(?:\](?:{_UNFINISHED_TARGET})?)?")
_BEGINS_QUOTE = re.compile(_OPEN)
_TARGET_BEHIND = re.compile(_TARGET)
_QUOTE_BEHIND = re.compile(rf"\s?\(?{_OPEN}(?P<quote>[^\n]{{1,{LONGEST_QUOTE}}}?){_CLOSE}\)?(?![^\W_])")
_UNFINISHED_BEHIND = re.compile(rf"\s?\(?(?:{_OPEN}[^\n]{{0,{LONGEST_QUOTE}}})?|{_UNFINISHED_TARGET}", re.IGNORECASE)
_BEGINNINGS: Final = ("https://", "http://", "ftps://", "ftp://", "www.")
_SPECIAL = re.compile(r"!?\[|\](?=[(:])|\u3010|(?:https?|ftps?)://|www\.|`+", re.IGNORECASE)
_URL = re.compile(
    rf"(?:(?:https?|ftps?)://|www\.)[^\s<>\"'`\[\](){{}}|\\\u3000-\u303f\uff00-\uffef]{{0,{LONGEST_URL}}}",
    re.IGNORECASE,
)
_WITHIN = re.compile(r"(?:https?|ftps?)://|(?<==)//", re.IGNORECASE)
_PUNCTUATION = ".,;:!?"
_NOT_IN_URLS = re.compile(r"[\x00-\x20]+")  # browsers leave them out


def addresses_within(url: str) -> Iterator[str]:
    """The web addresses that a URL names behind its own, to which the page there may lead on."""
    plain = unquote(url)
    starts = [found.start() for found in _WITHIN.finditer(plain) if found.start()]
    for start, end in pairwise([*starts, len(plain)]):
        inner = plain[start:end]
        yield f"https:{inner}" if inner.startswith("//") else inner


@dataclass(frozen=True, slots=True)
class Words:
    """Text as it is shown."""

    text: str


@dataclass(frozen=True, slots=True)
class Marker:
    """A claim that what stands before it is from these sources; ``quote`` is empty where the model gave none."""

    numbers: tuple[int, ...]
    quote: str = ""


class Scanner:
    """``feed`` and ``finish`` give all that was fed, in order.

    A link or an image becomes its text, and a bare URL an ellipsis, unless ``is_known`` says of its URL, and of those
    that it may lead on to, that the site itself vouches for it. Words with ``](`` or ``]:`` in them are such a link: of
    all others ``]`` is the last.
    ``is_quote`` tells whether words right behind a marker are the quote that belongs in it.
    """

    def __init__(self, *, is_known: Callable[[str], bool], is_quote: Callable[[tuple[int, ...], str], bool]) -> None:
        self._is_known = is_known
        self._is_quote = is_quote
        self._held = ""
        self._before = ""  # the last character that was given
        self._code = Code()

    def feed(self, text: str) -> Iterator[Words | Marker]:
        """What is clear by now."""
        self._held += text
        yield from self._scan(is_over=False)

    def finish(self) -> Iterator[Words | Marker]:
        """What was held back, when nothing more comes."""
        yield from self._scan(is_over=True)

    def _scan(self, *, is_over: bool) -> Iterator[Words | Marker]:
        while self._held:
            special = _SPECIAL.search(self._held)
            end = special.start() if special else len(self._held)
            if not special and not is_over:
                end = self._safe_end()
            if end:
                yield self._words(end)
            if not special:
                return
            token = self._special(is_over=is_over)
            if token is None:
                return
            yield token

    def _safe_end(self) -> int:
        """Where what may be the beginning of a URL or an image begins."""
        tail = self._held[-8:].lower()
        for size in range(min(len(tail), 7), 0, -1):
            end = tail[-size:]
            if end == "!" or any(beginning.startswith(end) for beginning in _BEGINNINGS):
                return len(self._held) - size
        return len(self._held)

    def _words(self, end: int, shown: str | None = None) -> Words:
        text, self._held = self._held[:end], self._held[end:]
        self._before = text[-1]
        self._code.passed(text)
        return Words(text if shown is None else shown)

    def _special(self, *, is_over: bool) -> Words | Marker | None:
        """What stands at the beginning; None where more text must tell."""
        first = self._held[0]
        if first == "]":  # by itself, so that what shows it can part it from what stands behind
            return self._words(1)
        if first == "`":
            return self._backticks(is_over=is_over)
        return self._bracket(is_over=is_over) if first in "![\u3010" else self._url(is_over=is_over)

    def _bracket(self, *, is_over: bool) -> Words | Marker | None:
        is_index = self._is_index(is_over=is_over)
        if is_index is None:
            return None
        if not is_index and (marker := self._marker_at(0)):
            if not is_over and self._may_quote_more(marker):
                return None
            return self._marker(marker, is_over=is_over)
        if link := _LINK.match(self._held):
            return self._words(link.end(), None if self._leads_home(link["target"]) else link["text"])
        at = 1 if self._held[0] == "!" else 0  # no image, so a mark of its own before what may be a marker
        if not is_over and self._is_unfinished(at, is_index=is_index):
            return None
        return self._words(2 if at and not self._marker_at(at) else 1)

    def _marker_at(self, at: int) -> re.Match[str] | None:
        """The marker that begins there; without a bracket that could close it, it is not looked for long."""
        is_closed = _CLOSING_BRACKET.search(self._held, at, at + _LONGEST_MARKER)
        return _MARKER.match(self._held, at) if is_closed else None

    def _is_index(self, *, is_over: bool) -> bool | None:
        """Whether a bracket belongs to the word before it, in code; None where more text must tell."""
        if self._held[0] != "!" and (self._before.isalnum() or self._before in tuple("_)]'\"")):
            return self._code.holds(self._held, is_over=is_over)
        return False

    def _is_unfinished(self, at: int, *, is_index: bool) -> bool:
        if _UNFINISHED_LINK.fullmatch(self._held):
            return True
        return not is_index and self._may_be_marker(at)

    def _may_be_marker(self, at: int) -> bool:
        return len(self._held) <= _LONGEST_MARKER and _UNFINISHED_MARKER.fullmatch(self._held, at) is not None

    def _may_quote_more(self, marker: re.Match[str]) -> bool:
        """Whether the bracket that closed it may yet turn out to be within a quote."""
        has_begun = _BEGINS_QUOTE.match(marker["bare"] or "") is not None
        return has_begun and self._may_be_marker(0)

    def _marker(self, marker: re.Match[str], *, is_over: bool) -> Marker | None:
        numbers = tuple(int(digits) for digits in re.findall(r"\d+", marker["numbers"]))
        quote = marker["quote"] or marker["bare"] or ""
        end = marker.end()
        behind = self._held[end:]
        if not is_over and _UNFINISHED_BEHIND.fullmatch(behind):
            return None
        if target := _TARGET_BEHIND.match(behind):
            end += target.end()
        elif not quote and (quoted := _QUOTE_BEHIND.match(behind)) and self._is_quote(numbers, quoted["quote"]):
            quote = quoted["quote"]
            end += quoted.end()
        self._before = "]"
        self._code.passed("]")
        self._held = self._held[end:]
        return Marker(numbers, quote)

    def _url(self, *, is_over: bool) -> Words | None:
        url = _URL.match(self._held)
        assert url is not None
        if not is_over and url.end() == len(self._held) and url.end() < LONGEST_URL:
            return None
        text = url[0].rstrip(_PUNCTUATION)
        is_shown = text.lower() == "www" or self._is_known(text)
        return self._words(len(text), None if is_shown else HIDDEN_URL)

    def _leads_home(self, target: str) -> bool:
        address = target[1:-1].strip().partition(" ")[0].strip("<>")
        address = _NOT_IN_URLS.sub("", html.unescape(address))
        if address.startswith(("/", "#")) and not address.startswith(("//", "/\\")):
            return all(map(self._is_known, addresses_within(address)))
        return self._is_known(address)

    def _backticks(self, *, is_over: bool) -> Words | None:
        run = self._held[: len(self._held) - len(self._held.lstrip("`"))]
        if run == self._held and not is_over:
            return None
        self._code.met(run)
        self._before, self._held = "`", self._held[len(run) :]
        return Words(run)
