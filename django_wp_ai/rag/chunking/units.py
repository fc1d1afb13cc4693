"""The smallest parts that pieces are made of: sentences, lines of code, rows, and fragments of what is too long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from django_wp_ai.rag.chunking.boundaries import seam, sentence_spans
from django_wp_ai.rag.chunking.structure import Block, blocks, line_spans

Count = Callable[[str], int]


class Break(IntEnum):
    """How good it is to cut behind a unit."""

    NEVER = 0  # a heading, a table's head, an opening fence: they go with what follows
    CHARACTER = 1
    WORD = 2
    LINE = 3
    SENTENCE = 4
    ROW = 5
    BLOCK = 6


@dataclass(frozen=True, slots=True)
class Unit:
    """A part of the text that is not cut, of one token at least; ``header`` is where the head of its table stands."""

    start: int
    end: int
    tokens: int
    behind: Break
    block: Block
    header: tuple[int, int] | None = None


class Cutter:
    """Makes the units of one text. None has more than ``most`` tokens, but a single code point that has."""

    def __init__(self, text: str, *, most: int, count: Count) -> None:
        self._text = text
        self._most = most
        self._count = count

    def units(self) -> list[Unit]:
        """All units in order; together they are the text."""
        return [unit for block in blocks(self._text) for unit in self._of(block)]

    def _of(self, block: Block) -> Iterator[Unit]:
        last = Break.NEVER if block.kind == "heading" else Break.BLOCK
        if block.kind == "table":
            yield from self._rows(block)
        elif block.kind == "code":
            yield from self._code(block)
        else:
            for start, end in sentence_spans(self._text, block.start, block.end):
                yield from self._lines(block, start, end, last if end == block.end else Break.SENTENCE)

    def _rows(self, block: Block) -> Iterator[Unit]:
        lines = line_spans(self._text, block.start, block.end)
        head_end = lines[min(2, len(lines)) - 1][1]
        header = (block.start, head_end)
        fits = self._fits(*header) and self._count(self._text[block.start : head_end]) <= self._most // 2
        yield from self._lines(block, *header, Break.NEVER)
        for start, end in lines[2:]:
            behind = Break.BLOCK if end == block.end else Break.ROW
            yield from self._lines(block, start, end, behind, header if fits else None)

    def _code(self, block: Block) -> Iterator[Unit]:
        lines = line_spans(self._text, block.start, block.end)
        filled = [position for position, span in enumerate(lines) if not self._text[slice(*span)].isspace()]
        # Neither the opening fence nor the closing one stands alone.
        kept = {filled[0], filled[-2]} if len(filled) > 2 else set()
        for position, (start, end) in enumerate(lines):
            behind = Break.BLOCK if end == block.end else Break.NEVER if position in kept else Break.LINE
            yield from self._lines(block, start, end, behind)

    def _lines(
        self, block: Block, start: int, end: int, behind: Break, header: tuple[int, int] | None = None
    ) -> Iterator[Unit]:
        """The span as one unit if it may be one; else its lines, and of a line that is too long, fragments."""
        tokens = self._tokens(start, end)
        if tokens is not None:
            yield Unit(start, end, tokens, behind, block, header)
            return
        lines = line_spans(self._text, start, end)
        if len(lines) > 1:
            for begin, stop in lines:
                yield from self._lines(block, begin, stop, behind if stop == end else Break.LINE, header)
            return
        for begin, stop, tokens in self._fragments(start, end):
            inside = Break.WORD if self._text[stop - 1].isspace() else Break.CHARACTER
            yield Unit(begin, stop, tokens, behind if stop == end else inside, block, header)

    def _fragments(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Cut at blanks where there are some; small enough to be repeated. Never is much more counted than taken."""
        most = max(1, self._most // 4)
        while start < end:
            stop = min(end, start + 8 * most)
            while True:
                stop = seam(self._text, start, stop) if stop < end else stop
                tokens = max(1, self._count(self._text[start:stop]))
                if tokens <= most or stop - start == 1:
                    break
                stop = start + max(1, (stop - start) * most // max(tokens, 2 * most))
            yield start, stop, tokens
            start = stop

    def _fits(self, start: int, end: int) -> bool:
        return end - start <= 16 * self._most

    def _tokens(self, start: int, end: int) -> int | None:
        """The tokens of a span, None if there are too many: a very long one is not even counted."""
        if not self._fits(start, end):
            return None
        tokens = max(1, self._count(self._text[start:end]))
        return tokens if tokens <= self._most or end - start == 1 else None
