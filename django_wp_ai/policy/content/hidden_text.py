"""Text that a reader does not see and a model does: invisible characters, and parts of a page that are not shown."""

from __future__ import annotations

import re
from typing import NamedTuple

#: After a black flag, a few of them are a region's flag.
_TAGS = re.compile("(\U0001f3f4[\U000e0061-\U000e007a]{4,6}\U000e007f)|[\U000e0000-\U000e007f]+")
_OVERRIDES = re.compile("[\u202d\u202e]")
_ZERO_WIDTH = re.compile("[\u200b\u2060-\u2064\ufeff\u180e]|(?<=[A-Za-z0-9])[\u200c\u200d\u00ad]+(?=[A-Za-z0-9])")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}")
_ELEMENT = re.compile(r"<([a-z][a-z0-9]{0,15})\b([^<>]{0,1000})>", re.IGNORECASE)
_NOT_SHOWN = re.compile(
    r"display\s{0,4}:\s{0,4}none|visibility\s{0,4}:\s{0,4}hidden|font-size\s{0,4}:\s{0,4}0(?![.\d])|opacity\s{0,4}:\s{0,4}0(?![.\d])"
    r"|(?:^|\s)hidden(?:\s|=|/|$)|aria-hidden\s{0,4}=\s{0,4}[\"']?true",
    re.IGNORECASE,
)
_NO_CONTENT = frozenset(
    ["input", "img", "br", "hr", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"]
)


class Seen(NamedTuple):
    """``text`` as a reader sees it, what was ``hidden`` in it as text, and the ``ways`` it was hidden."""

    text: str
    hidden: tuple[str, ...]
    ways: tuple[str, ...]


def seen(text: str) -> Seen:
    """Part what a reader sees from what is hidden."""
    hidden: list[str] = []
    ways: list[str] = []
    for way, pattern in (
        ("tag_characters", _TAGS),
        ("bidi_override", _OVERRIDES),
        ("zero_width", _ZERO_WIDTH),
        ("variation_selectors", _SELECTORS),
    ):
        shown = pattern.sub(lambda run: run[1] or "" if run.re is _TAGS else "", text)
        if shown != text:
            ways.append(way)
            if way == "tag_characters":
                hidden += [_as_ascii(run[0]) for run in pattern.finditer(text) if not run[1]]
            text = shown
    text, comments = _without_comments(text)
    text, elements = _without_hidden_elements(text)
    ways += ["html_comment"] * bool(comments) + ["hidden_element"] * bool(elements)
    return Seen(text, (*hidden, *comments, *elements), tuple(ways))


def _as_ascii(tags: str) -> str:
    return "".join(chr(ord(tag) - 0xE0000) for tag in tags)


def _without_comments(text: str) -> tuple[str, list[str]]:
    parts: list[str] = []
    hidden: list[str] = []
    at = 0
    while (start := text.find("<!--", at)) >= 0:
        end = text.find("-->", start + 4)
        if end < 0:
            break  # a browser shows nothing of it either, but it may be no comment at all
        parts.append(text[at:start])
        hidden.append(text[start + 4 : end])
        at = end + 3
    return "".join([*parts, text[at:]]), hidden


def _without_hidden_elements(text: str) -> tuple[str, list[str]]:
    """An element that is not shown goes with all up to its end tag; without one, only its own tag goes."""
    parts: list[str] = []
    hidden: list[str] = []
    lower = text.lower() if len(text.lower()) == len(text) else text
    never_closed: set[str] = set()
    at = 0
    for tag in _ELEMENT.finditer(text):
        if tag.start() < at or not _NOT_SHOWN.search(tag[2]):
            continue
        name = tag[1].lower()
        close = -1 if name in never_closed or name in _NO_CONTENT else lower.find(f"</{name}", tag.end())
        if close < 0:
            never_closed.add(name)
            end = tag.end()
        else:
            hidden.append(text[tag.end() : close])
            end = text.find(">", close) + 1 or len(text)
        parts.append(text[at : tag.start()])
        at = end
    return "".join([*parts, text[at:]]), hidden
