"""What a Markdown text is made of, by lines: CommonMark's own reader says where blocks begin, offsets are ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind = Literal["heading", "prose", "code", "table"]
MAX_TITLE_CHARS = 200

_KINDS: dict[str, Kind] = {
    "heading_open": "heading",
    "paragraph_open": "prose",
    "html_block": "prose",
    "hr": "prose",
    "fence": "code",
    "code_block": "code",
    "table_open": "table",
}
_LINE_END = re.compile(r"\r\n|\r|\n")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_MARKS = re.compile(r"[*`]+|(?<!\w)_+|_+(?!\w)")


@dataclass(frozen=True, slots=True)
class Block:
    """A block and the blank lines behind it; ``path`` are the headings it stands under, its own included."""

    kind: Kind
    start: int
    end: int
    path: tuple[str, ...]
    section: int


def blocks(text: str) -> list[Block]:
    """The blocks in order; together they are the text. The items of a list are blocks, also those of inner lists."""
    lines = [0, *(found.end() for found in _LINE_END.finditer(text))]
    found = _leaves(_reader().parse(text))
    starts = [0, *(lines[line] for _, line, _, _ in found[1:])]
    ends = [*starts[1:], len(text)]
    made: list[Block] = []
    above: list[tuple[int, str]] = []
    section = 0
    for (kind, _, level, title), start, end in zip(found, starts, ends, strict=False):
        if level:
            above = [*(one for one in above if one[0] < level), (level, title)]
            section += 1
        made.append(Block(kind, start, end, tuple(name for _, name in above if name), section))
    return made


def line_spans(text: str, start: int, end: int) -> list[tuple[int, int]]:
    """The lines of a part of the text, each with its line end."""
    marks = [start, *(found.end() for found in _LINE_END.finditer(text, start, end))]
    if marks[-1] != end:
        marks.append(end)
    return list(pairwise(marks))


def _leaves(tokens: Sequence[Token]) -> list[tuple[Kind, int, int, str]]:
    """Kind, first line, level and title of the blocks that hold no other; only headings of the page have a level."""
    found: list[tuple[Kind, int, int, str]] = []
    for position, token in enumerate(tokens):
        kind = _KINDS.get(token.type)
        if kind is None or token.map is None:
            continue
        is_of_page = kind == "heading" and token.level == 0
        level = int(token.tag[1:]) if is_of_page else 0
        title = _title(tokens[position + 1].content) if is_of_page else ""
        found.append((kind if is_of_page or kind != "heading" else "prose", token.map[0], level, title))
    # Two blocks that begin in one line (a table's cells, an empty item) are one: the first.
    firsts: dict[int, tuple[Kind, int, int, str]] = {}
    for leaf in found:
        firsts.setdefault(leaf[1], leaf)
    return [firsts[line] for line in sorted(firsts)] or [("prose", 0, 0, "")]


def _title(markdown: str) -> str:
    """A heading's words, without marks."""
    plain = _MARKS.sub("", _LINK.sub(r"\1", markdown[: 4 * MAX_TITLE_CHARS]))
    return " ".join(plain.split())[:MAX_TITLE_CHARS].rstrip()


@cache
def _reader() -> MarkdownIt:
    """Blocks only: what stands inside of a line costs time and says nothing of where to cut."""
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark", {"maxNesting": 20}).enable("table")
    return reader.disable(["reference", "inline", "text_join"])
