"""From units to pieces: each is filled up to the budget and ends at the best break in its second half."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from django_wp_ai.rag.chunking.boundaries import seam
from django_wp_ai.rag.chunking.pieces import Piece
from django_wp_ai.rag.chunking.units import Break, Count, Cutter, Unit


def cut(text: str, *, tokens: int = 800, overlap: int = 100, count: Count) -> list[Piece]:
    """Pieces of at most ``tokens``, in order; each may begin with up to ``overlap`` tokens of the one before.

    Every character but blanks is in a piece. Repeated are only whole units (sentences, lines, rows) of one section. The
    one piece that may be over the budget is a single code point that ``count`` finds more in.
    """
    if tokens < 1 or not 0 <= overlap < tokens:
        raise ValueError("tokens must be at least 1, and overlap at least 0 and less than tokens")
    if not text or text.isspace():
        return []
    units = Cutter(text, most=max(1, tokens // 2), count=count).units()
    return _Packing(text, units, tokens=tokens, overlap=overlap, count=count).pieces()


class _Packing:
    """Ranges of units are named by the first and the one behind the last, as slices are."""

    def __init__(self, text: str, units: Sequence[Unit], *, tokens: int, overlap: int, count: Count) -> None:
        self._text, self._units, self._count = text, units, count
        self._tokens, self._overlap = tokens, overlap
        self._least = tokens // 8  # less is no passage of its own where it can join another
        self._before = [0, *accumulate(unit.tokens for unit in units)]
        self._bodies = [0, *accumulate(unit.block.kind != "heading" for unit in units)]
        self._section_end = _section_ends(units)

    def pieces(self) -> list[Piece]:
        """The pieces; where the units' counts don't add up to that of their text, fewer units than were chosen."""
        made: list[Piece] = []
        begin = first = last = 0
        while first < len(self._units):
            previous = begin, first
            begin = self._begin(first, begin + 1)
            last = self._last(begin, first)
            piece = self._piece(begin, last)
            while piece.token_count > self._tokens and last - begin > 1:
                begin, last = (first, last) if begin < first else (first, self._shorter(first, last))
                piece = self._piece(begin, last)
            if not self._is_blank(first, last):  # else it would only repeat
                made.extend(self._parts(piece))
            if last == len(self._units) and self._sum(first, last) < self._least and len(made) > 1:
                self._merge_last(made, previous[0])
            first = last
        return made

    def _sum(self, first: int, last: int) -> int:
        return self._before[last] - self._before[first]

    def _is_blank(self, first: int, last: int) -> bool:
        return self._text[self._units[first].start : self._units[last - 1].end].isspace()

    def _begin(self, first: int, least: int) -> int:
        """How far back the overlap reaches: not into another section, and the next unit must still fit."""
        begin, room = first, min(self._overlap, self._tokens - self._units[first].tokens)
        while begin > least and self._same_section(begin - 1, first) and self._sum(begin - 1, first) <= room:
            begin -= 1
        return begin

    def _same_section(self, one: int, other: int) -> bool:
        return self._units[one].block.section == self._units[other].block.section

    def _last(self, begin: int, first: int) -> int:
        """Where a piece ends that begins there."""
        budget = self._tokens - self._header_tokens(begin)
        left = self._sum(begin, self._section_end[first])
        if budget < left <= budget + self._least:
            budget = left * 2 // 3  # two middling pieces, not a full one and a crumb
        last = first + 1
        while last < len(self._units) and self._sum(begin, last + 1) <= budget:
            if self._section_is_over(first, last):
                return last
            last += 1
        if last == len(self._units) or self._section_is_over(first, last):
            return last
        return max(range(first + 1, last + 1), key=lambda end: self._worth(begin, end, budget))

    def _section_is_over(self, first: int, last: int) -> bool:
        """Whether a section ends before ``last``, and what was gathered can stand alone: text, and enough of it."""
        return (
            not self._same_section(last - 1, last)
            and self._sum(first, last) >= self._least
            and self._bodies[last] > self._bodies[first]
        )

    def _worth(self, begin: int, end: int, budget: int) -> tuple[bool, bool, int, int]:
        behind = int(self._units[end - 1].behind)
        if behind and not self._same_section(end - 1, end):
            behind += 1
        return behind > Break.NEVER, 2 * self._sum(begin, end) >= budget, behind, end

    def _shorter(self, first: int, last: int) -> int:
        """A nearer end: an eighth off, and one unit at least."""
        most = self._sum(first, last) * 7 // 8
        last -= 1
        while last - first > 1 and self._sum(first, last) > most:
            last -= 1
        return last

    def _header_tokens(self, begin: int) -> int:
        header = self._units[begin].header
        return 0 if header is None else self._count(self._text[slice(*header)])

    def _piece(self, begin: int, last: int) -> Piece:
        units = self._units[begin:last]
        header = units[0].header
        head = "" if header is None else self._text[slice(*header)].lstrip()
        return self._of_span(units[0].start, units[-1].end, _common_path(units), head)

    def _of_span(self, start: int, end: int, path: tuple[str, ...], header: str = "") -> Piece:
        raw = self._text[start:end]
        content = raw.strip()
        start += len(raw) - len(raw.lstrip()) if content else 0
        return Piece(content, path, start, start + len(content), self._count(header + content), header)

    def _parts(self, piece: Piece) -> Iterator[Piece]:
        """The piece, or what is within the budget of it where ``count`` finds more in a unit than it did before."""
        if piece.token_count <= self._tokens or (len(piece.content) == 1 and not piece.header):
            yield piece
        elif piece.header:
            yield from self._parts(self._of_span(piece.start, piece.end, piece.heading_path))
        else:
            middle = seam(self._text, piece.start, (piece.start + piece.end) // 2)
            for start, end in ((piece.start, middle), (middle, piece.end)):
                part = self._of_span(start, end, piece.heading_path)
                yield from self._parts(part) if part.content else ()

    def _merge_last(self, made: list[Piece], begin: int) -> None:
        """Let a crumb at the end join the piece before it, if there is room."""
        before, crumb = made[-2:]
        path = _common_path(self._units[begin:])
        joined = self._of_span(before.start, crumb.end, path, before.header)
        if joined.token_count <= self._tokens:
            made[-2:] = [joined]


def _section_ends(units: Sequence[Unit]) -> list[int]:
    """For each unit, the one behind the last of its section."""
    ends = [len(units)] * len(units)
    for position in range(len(units) - 2, -1, -1):
        same = units[position].block.section == units[position + 1].block.section
        ends[position] = ends[position + 1] if same else position + 1
    return ends


def _common_path(units: Sequence[Unit]) -> tuple[str, ...]:
    """The headings that all text of the units stands under; of headings alone, those that all of them do."""
    paths = {unit.block.path for unit in units if unit.block.kind != "heading"} or {unit.block.path for unit in units}
    lowest, highest = min(paths), max(paths)
    same = 0
    while same < min(len(lowest), len(highest)) and lowest[same] == highest[same]:
        same += 1
    return lowest[:same]
