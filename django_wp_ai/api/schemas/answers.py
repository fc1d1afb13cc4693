"""The body of a question to the site's own content."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from django_wp_ai.api.schemas.search import FiltersIn, PassageCount
from django_wp_ai.rag.answer import Question
from django_wp_ai.rag.search import MAX_QUERY_CHARS
from django_wp_ai.schemas.base import Cache, Metadata, Spoken, Strict
from django_wp_ai.schemas.chat import conversation


class AskIn(Strict):
    """A question; what is found for it is found as a search finds it."""

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUERY_CHARS), Spoken]
    k: PassageCount = 8
    filters: FiltersIn | None = None
    mode: Literal["hybrid", "vector", "text"] = "hybrid"
    stream: bool = False
    conversation_id: Annotated[str, Field(max_length=64, description="new, a UUID or the site's name.")] | None = None
    cache: Cache | None = None
    metadata: Metadata | None = None

    def to_question(self) -> Question:
        """As plain data."""
        metadata = self.metadata or Metadata()
        return Question(
            text=self.question,
            k=self.k,
            filters=(self.filters or FiltersIn()).to_filters(),
            mode=self.mode,
            conversation_id=conversation(self.conversation_id),
            cache=self.cache,
            end_user=metadata.end_user,
            plugin=metadata.plugin,
        )
