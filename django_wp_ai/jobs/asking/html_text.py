"""HTML as the text that a reader sees.

Our own scanner: the standard library's parser takes minutes for some texts of a megabyte that hold only openings. This
one goes forward only, so its time grows with the length of the text and no faster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape

_UNSEEN = frozenset({"script", "style", "template", "noscript", "svg", "iframe", "object"})
_RAW = frozenset({"script", "style", "iframe", "noscript"})  # in these, markup is text up to the end tag
_BLOCKS = frozenset(
    re.findall(
        r"\w+",
        """
        address article aside blockquote body br dd details div dl dt fieldset figcaption figure footer form h1 h2 h3 h4
        h5 h6 header hr html legend li main nav ol option p pre section summary table tbody td tfoot th thead title tr
        ul
        """,
    )
)
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:-]*)")
_TAG_END = re.compile(r"[>\"']")
_RAW_END = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in _RAW}
_SOURCE_BREAKS = re.compile(r"[\r\n]")
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r"\s*\n\s*")


def to_text(html: str) -> str:
    """The text of a page or a fragment, a line for each block; scripts, styles and comments are left out."""
    shown: list[str] = []
    unseen, depth = "", 0  # the element in which nothing is seen, and how often its own kind stands in itself
    for text, name, is_end in _tokens(html):
        if unseen:
            depth += 0 if name != unseen else -1 if is_end else 1
            unseen = unseen if depth else ""
            continue
        shown.append(unescape(_SOURCE_BREAKS.sub(" ", text)))
        if name in _UNSEEN and not is_end:
            unseen, depth = name, 1
        elif name in _BLOCKS:
            shown.append("\n- " if name == "li" and not is_end else "\n")
    return _LINES.sub("\n", _BLANKS.sub(" ", "".join(shown))).strip()


def _tokens(html: str) -> Iterator[tuple[str, str, bool]]:
    """Text with the tag that ends it: its name in small letters, and whether it closes; comments have no name."""
    start = at = 0
    while (at := html.find("<", at)) >= 0:
        if tag := _TAG.match(html, at):
            end, is_empty = _end_of_tag(html, tag.end())
        elif html.startswith(("<!", "<?", "</"), at):
            end, is_empty = _end_of_comment(html, at), False
        else:
            at += 1  # a "<" of the text itself
            continue
        name = tag[2].lower() if tag else ""
        yield html[start:at], "" if is_empty and name == "svg" else name, bool(tag and tag[1])
        start = at = end
        if tag and not tag[1] and name in _RAW:
            close = _RAW_END[name].search(html, end)
            start = at = close.start() if close else len(html)
    yield html[start:], "", False


def _end_of_tag(html: str, at: int) -> tuple[int, bool]:
    """Behind the tag's ``>``, quoted ones apart, and whether ``/`` stood before it; the end of the text for none."""
    while found := _TAG_END.search(html, at):
        if found[0] == ">":
            return found.end(), html[found.start() - 1] == "/"
        at = html.find(found[0], found.end()) + 1
        if not at:
            break
    return len(html), False


def _end_of_comment(html: str, at: int) -> int:
    mark = "-->" if html.startswith("<!--", at) else ">"
    end = html.find(mark, at + 2)
    return len(html) if end < 0 else end + len(mark)
