"""A provider that answers at once, and says how long it took: what is left is the app's own time."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, Sequence
from typing import ClassVar

from django_wp_ai.datatypes import ChatRequest, ChatResult, Delta, Usage
from django_wp_ai.providers.base import EmbeddingResult, Provider

DIMENSIONS = 1536
_SOME = [tuple(random.Random(seed).uniform(-1, 1) for _ in range(DIMENSIONS)) for seed in range(64)]


class Instant(Provider):
    """Makes vectors that mean nothing; ``texts`` and ``spent_s`` count over the process."""

    known_models = ("instant-embedding",)
    needs_key = False
    supports_embeddings = True
    free = True
    texts: ClassVar[int] = 0
    calls: ClassVar[int] = 0
    spent_s: ClassVar[float] = 0.0
    #: Raises at this call, once.
    breaks_at: ClassVar[int] = 0

    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        raise NotImplementedError

    def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        raise NotImplementedError

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None = None) -> EmbeddingResult:
        began = time.perf_counter()
        Instant.calls += 1
        Instant.texts += len(texts)
        vectors = tuple(_SOME[hash(text) % len(_SOME)] for text in texts)
        Instant.spent_s += time.perf_counter() - began
        return EmbeddingResult(vectors, Usage(input_tokens=sum(map(self.count_tokens, texts))), model)
