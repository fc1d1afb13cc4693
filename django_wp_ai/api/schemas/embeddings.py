"""OpenAI's embedding request. Source: the OpenAI API reference, embeddings/create (2026)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from django_wp_ai.datatypes import EmbeddingRequest
from django_wp_ai.gateway.embeddings import MAX_DIMENSIONS, MAX_INPUTS
from django_wp_ai.schemas.base import Identity, ModelName, Strict


class EmbeddingIn(Strict):
    """Text in, vectors out. Token numbers are refused: they mean something to one vendor's tokenizer only."""

    input: str | Annotated[list[str], Field(min_length=1, max_length=MAX_INPUTS)]
    model: Annotated[ModelName, Field(min_length=1)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: Annotated[int, Field(ge=1, le=MAX_DIMENSIONS)] | None = None
    user: Identity | None = None

    @field_validator("input", mode="before")
    @classmethod
    def no_tokens(cls, value: Any) -> Any:
        """Numbers are an OpenAI client's tokens, or lists of them."""
        if isinstance(value, list) and any(isinstance(item, (int, float, list)) for item in value):
            raise ValueError("give text, not tokens")
        return value

    def to_request(self) -> EmbeddingRequest:
        """As plain data."""
        return EmbeddingRequest(
            inputs=(self.input,) if isinstance(self.input, str) else tuple(self.input),
            model=self.model,
            dimensions=self.dimensions,
            end_user=self.user or "",
        )
