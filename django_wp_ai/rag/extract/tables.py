"""A table under way. One in another gives its words to the cell that it stands in."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_SPAN = 20


@dataclass(slots=True)
class Table:
    """Rows of cells' words; ``cell`` is None between cells."""

    depth: int = 0
    rows: list[list[str]] = field(default_factory=list)
    cell: list[str] | None = None
    _span: int = 0

    def begin_row(self) -> None:
        """Of the outermost table."""
        if self.depth == 1:
            self.rows.append([])

    def begin_cell(self, span: str) -> None:
        """``span``: over how many columns, as the page says it."""
        if self.depth == 1:
            self.cell = []
            self._span = min(int(span), MAX_SPAN) - 1 if span.isdecimal() and len(span) < 7 else 0

    def end_cell(self) -> int:
        """Put the cell in its row; how many characters that made."""
        if self.depth != 1 or self.cell is None:
            return 0
        words = " ".join(self.cell).replace("|", "\\|")
        self.cell = None
        if not self.rows:
            self.rows.append([])
        self.rows[-1] += [words, *[""] * max(0, self._span)]
        return len(words) + 3 * (self._span + 1)

    def end(self) -> list[list[str]]:
        """The rows, when the outermost table ends; else nothing."""
        self.depth = max(0, self.depth - 1)
        if self.depth:
            return []
        rows, self.rows, self.cell = self.rows, [], None
        return rows
