"""A single prompt: the shortest way to an answer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from django_wp_ai.datatypes import ChatRequest, Message, TextPart
from django_wp_ai.schemas.base import Cache, DryRun, Metadata, ModelName, Spoken, Strict, Temperature, TokenCount

MAX_PROMPT_CHARS = 8000


class InferIn(Strict):
    """A prompt, and little else; ``max_tokens`` and ``temperature`` are kept within what the site allows."""

    prompt: Annotated[str, Field(min_length=1, max_length=MAX_PROMPT_CHARS), Spoken]
    model: Annotated[ModelName, Field(description="A model, an alias or provider:model.")] = ""
    max_tokens: TokenCount | None = None
    temperature: Temperature | None = None
    cache: Cache | None = None
    dry_run: DryRun = False
    metadata: Metadata | None = None

    def to_request(self) -> ChatRequest:
        """As plain data."""
        metadata = self.metadata or Metadata()
        return ChatRequest(
            messages=(Message("user", (TextPart(self.prompt),)),),
            model=self.model,
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            cache=self.cache,
            end_user=metadata.end_user,
            plugin=metadata.plugin,
        )
