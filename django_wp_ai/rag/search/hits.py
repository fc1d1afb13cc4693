"""What a search takes and gives: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["hybrid", "vector", "text"]


@dataclass(frozen=True, slots=True)
class Filters:
    """What a passage must be like; of each given list it must have at least one. Empty: anything."""

    post_types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    source_ids: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.post_types or self.tags or self.source_ids or self.languages)


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that was found. ``score`` orders the hits of one search and means nothing across searches.

    ``vector`` is the cosine similarity (None: the passage has no embedding of the model that was asked with), ``text``
    the BM25 score (None: not among those that the words found).
    """

    chunk_id: int
    document_id: int
    source_id: str
    title: str
    url: str
    content: str
    ordinal: int
    heading_path: tuple[str, ...]
    language: str
    post_type: str
    score: float
    vector: float | None
    text: float | None
    content_hash: str
