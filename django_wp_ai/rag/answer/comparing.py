"""Text as quotes are compared: without what is only typography or Markdown, each character knowing where it stands."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from django_wp_ai.policy.content.plain_form import PlainForm, plain_form

#: Scripts without blanks: each character is a word.
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")
_UNSPACED = re.compile(rf"[{UNSPACED}]")
_MARKUP = re.compile(
    r"(?P<leave>!?\[(?=[^\[\]\n]{1,300}\]\()|\]\([^()\n]{0,2000}\)|\\(?=[^\w\s]))|(?P<entity>&#?[A-Za-z0-9]{1,31};)"
)
_LEFT_OUT = frozenset("*_`~")
_BLANK = frozenset("|#>\u2022\u00b7")
_QUOTES = frozenset(
    "\"'\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2032\u2033\u00ab\u00bb\u2039\u203a\u300c\u300d\u300e\u300f"
)
_SAME = {"\u2026": "...", "\u3001": ",", "\u3002": "."}
_RULES = re.compile(r"-{3,}|(?<![^ ])-(?![^ ])|(?<![^\W_])'|'(?![^\W_])")
_LINK_END = re.compile(r"\]\([^()\n]{0,2000}\)")


@dataclass(frozen=True, slots=True)
class Comparable:
    """``text`` has single blanks and small letters; character ``i`` stands at ``starts[i]`` to ``ends[i]``."""

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]


def comparable(text: str) -> Comparable:
    """Two texts that a reader takes for the same words are the same here: quotes, dashes, blanks, case, Markdown."""
    out: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for piece, start, end in _pieces(text):
        for character in piece:
            if character == " " and (not out or out[-1] == " "):
                continue
            out.append(character)
            starts.append(start)
            ends.append(end)
    return _without_rules("".join(out), starts, ends)


def _pieces(text: str) -> Iterator[tuple[str, int, int]]:
    """What each run of the original is compared as, with its place."""
    plain = plain_form(text)
    at = 0
    for markup in _MARKUP.finditer(plain.text):
        yield from _characters(plain, at, markup.start())
        at = markup.end()
        if markup["entity"]:
            yield (_small(html.unescape(markup[0])), *plain.original(markup.start(), at))
    yield from _characters(plain, at, len(plain.text))


def _characters(plain: PlainForm, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    for index in range(start, end):
        if (character := plain.text[index]) not in _LEFT_OUT:
            yield (_small(character), *plain.original(index, index + 1))


@lru_cache(maxsize=4096)
def _small(piece: str) -> str:
    if piece.isspace() or piece in _BLANK:
        return " "
    if piece in _QUOTES:
        return "'"
    return _SAME.get(piece) or piece.casefold()


def _without_rules(text: str, starts: list[int], ends: list[int]) -> Comparable:
    """Without bullets, rules of tables and quotation marks; an apostrophe within a word stays."""
    kept = [index for start, end in _between(text) for index in range(start, end)]
    shown: list[int] = []
    for index in kept:
        if text[index] != " " or (shown and text[shown[-1]] != " "):
            shown.append(index)
    return Comparable(
        "".join(text[index] for index in shown),
        tuple(starts[index] for index in shown),
        tuple(ends[index] for index in shown),
    )


def _between(text: str) -> Iterator[tuple[int, int]]:
    at = 0
    for rule in _RULES.finditer(text):
        yield at, rule.start()
        at = rule.end()
    yield at, len(text)


def words(text: str) -> list[tuple[int, int]]:
    """Where the words of a comparable text stand."""
    return [word.span() for word in _WORD.finditer(text)]


def weight(text: str) -> int:
    """How much a run of text says, in letters; one of a script without blanks counts as two."""
    return sum(character.isalnum() + bool(_UNSPACED.match(character)) for character in text)


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no word is cut at either end."""
    return not (_joined(text, start) or _joined(text, end))


def _joined(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    return before.isalnum() and after.isalnum() and not (_UNSPACED.match(before) or _UNSPACED.match(after))


def whole_markup(text: str, start: int, end: int) -> str:
    """The run of the original, with the marks of Markdown and quotation at its ends."""
    marks = _LEFT_OUT | _QUOTES
    while start and text[start - 1] in marks:
        start -= 1
    while end < len(text) and text[end] in marks:
        end += 1
    found = text[start:end]
    if found.count("[") > found.count("]") and (link := _LINK_END.match(text, end)):
        found = text[start : link.end()]
    return found.strip()
