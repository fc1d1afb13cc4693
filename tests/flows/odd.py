"""A provider that does what none should, for tests of what becomes of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from django_wp_ai.datatypes import ChatRequest, ChatResult, Choice, Delta, Usage
from django_wp_ai.providers.base import Provider


class Odd(Provider):
    """Does what no provider should."""

    known_models = ("odd",)
    needs_key = False
    free = True

    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        if "negative" in request.messages[-1].text:
            return ChatResult((Choice("x", "stop"),), Usage(output_tokens=-1), model)
        raise KeyError("secret-vendor-text")

    async def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        text = request.messages[-1].text
        if "first" not in text:
            yield Delta(text="one ", model=model)
        if "negative" in text:
            yield Delta(finish_reason="stop")
            yield Delta(usage=Usage(output_tokens=-1))
            return
        raise KeyError("secret-vendor-text")
