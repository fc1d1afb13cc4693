"""Vectors on their way into the database, written short."""

from __future__ import annotations

from collections.abc import Sequence

from pgvector import HalfVector


class Half(HalfVector):
    """Half-precision numbers as text of five digits, which name each of them: half as long, and made in one go."""

    def to_text(self) -> str:
        """As PostgreSQL reads it."""
        numbers = self.to_list()
        return f"[{','.join(['%.5g'] * len(numbers)) % tuple(numbers)}]"


def half(vector: Sequence[float] | HalfVector) -> Half:
    """A vector as a provider gives it, or as it was read."""
    return Half(vector.to_list() if isinstance(vector, HalfVector) else list(vector))
