"""The body of a search, and its reply."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from django_wp_ai.rag.search import MAX_K, MAX_QUERY_CHARS, Filters
from django_wp_ai.rag.sources.base import language_code
from django_wp_ai.schemas.base import Spoken, Strict

MAX_NAMED = 100

Name = Annotated[str, Field(min_length=1, max_length=255)]
Names = Annotated[list[Name], Field(max_length=MAX_NAMED)]
PassageCount = Annotated[int, Field(ge=1, le=MAX_K, description="How many passages at most.")]


class FiltersIn(Strict):
    """What a passage must be like: of each given list it has at least one."""

    post_type: Name | Names | None = None
    tags: Name | Names | None = None
    source_ids: Name | Names | None = None
    lang: Name | Names | None = None

    def to_filters(self) -> Filters:
        """As plain data."""
        return Filters(
            post_types=_names(self.post_type),
            tags=_names(self.tags),
            source_ids=_names(self.source_ids),
            languages=tuple(language_code(tag) or tag for tag in _names(self.lang)),
        )


class SearchIn(Strict):
    """What is looked for in the site's own content."""

    query: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS), Spoken]
    k: PassageCount = 8
    filters: FiltersIn | None = None
    mode: Literal["hybrid", "vector", "text"] = "hybrid"

    def to_filters(self) -> Filters:
        """As plain data; none where the body gives none."""
        return (self.filters or FiltersIn()).to_filters()


def _names(given: str | list[str] | None) -> tuple[str, ...]:
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)
