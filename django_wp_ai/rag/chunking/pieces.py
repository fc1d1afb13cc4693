"""What a text is cut into."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage. ``content`` is exactly ``text[start:end]`` of the text that was cut.

    A piece that begins inside a table has the table's head rows in ``header``, which are no part of ``content``.
    ``passage`` is both: what is embedded, shown to a model, and counted (``token_count``). ``heading_path`` are the
    headings that all of it stands under, outermost first.
    """

    content: str
    heading_path: tuple[str, ...]
    start: int
    end: int
    token_count: int
    header: str = ""

    @property
    def passage(self) -> str:
        """The content, below the head rows of its table if it begins behind them."""
        return self.header + self.content
