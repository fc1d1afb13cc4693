"""Markdown, written block by block: what HTML, and all that is turned into HTML on the way, ends in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

MAX_PREFIXES = 12
#: At the beginning of a line these would be read as structure that the text does not have.
_STRUCTURE = re.compile(r"^(?=#{1,6}\s|```|~~~|>\s)", re.MULTILINE)
_FENCES = re.compile(r"`{3,}")
_TICKS = re.compile(r"`+")


class Enough(Exception):
    """So much text was written as may be."""


@dataclass(slots=True)
class Prefix:
    """What stands before the lines of a list's item or a quotation: ``first`` once, then ``rest``."""

    first: str
    rest: str
    is_item: bool = False


@dataclass(slots=True)
class Writer:
    """Collects blocks; raises ``Enough`` beyond ``max_chars``."""

    max_chars: int
    blocks: list[str] = field(default_factory=list)
    prefixes: list[Prefix] = field(default_factory=list)
    size: int = 0
    _after_item: bool = False

    def paragraph(self, text: str) -> None:
        """Words in lines, as they are."""
        self._write(_STRUCTURE.sub(r"\\", text))

    def heading(self, level: int, text: str) -> None:
        """One line, whatever the text had."""
        self._write(f"{'#' * level} {' '.join(text.split())}")

    def code(self, text: str, language: str = "") -> None:
        """Fenced with more ticks than stand in it."""
        fence = "`" * max(3, 1 + max(map(len, _FENCES.findall(text)), default=0))
        self._write(f"{fence}{language}\n{text}\n{fence}")

    def table(self, rows: list[list[str]]) -> None:
        """The first row is the head. A table of one column only arranges things, so it is written as paragraphs."""
        rows = [row for row in rows if any(row)]
        columns = max(map(len, rows), default=0)
        if columns <= 1:
            for row in rows:
                self.paragraph(row[0])
            return
        head = rows[0] + [""] * (columns - len(rows[0]))
        self._write("\n".join([_row(head), "|" + " --- |" * columns, *map(_row, rows[1:])]))

    def count(self, characters: int) -> None:
        """So many more are there, or will be."""
        self.size += characters
        if self.size > self.max_chars:
            raise Enough

    def text(self) -> str:
        """All blocks."""
        return "".join(self.blocks).strip("\n")

    def _write(self, text: str) -> None:
        fresh = any(prefix.is_item and prefix.first != prefix.rest for prefix in self.prefixes)
        tight = fresh and self._after_item
        first = "".join(prefix.first for prefix in self.prefixes)
        for prefix in self.prefixes:
            prefix.first = prefix.rest
        rest = "".join(prefix.rest for prefix in self.prefixes)
        lines = text.split("\n")
        written = "\n".join([first + lines[0], *((rest + line).rstrip() for line in lines[1:])])
        self.blocks.append(("\n" if tight else "\n\n") + written if self.blocks else written)
        self._after_item = any(prefix.is_item for prefix in self.prefixes)
        self.count(len(written) + 2)


def inline_code(text: str) -> str:
    """Text between ticks, more of them than stand in it."""
    ticks = "`" * (1 + max(map(len, _TICKS.findall(text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{ticks}{space}{text}{space}{ticks}" if text else ""


def image(alt: str) -> str:
    """What an image shows; where it lies is of no use to a reader of text."""
    words = " ".join(alt.split())
    return f"![{words.replace('[', '(').replace(']', ')')}]()" if words else ""


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
