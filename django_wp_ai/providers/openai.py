"""OpenAI's Chat Completions and Embeddings, servers compatible with them, and Azure OpenAI, on the official SDK."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import httpx2
import openai
from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.datatypes import (
    ChatRequest,
    ChatResult,
    Delta,
    Usage,
)
from django_wp_ai.providers import openai_wire, options
from django_wp_ai.providers.base import EmbeddingResult, Moderation
from django_wp_ai.providers.failures import Cut, translated
from django_wp_ai.providers.hosted import HostedProvider

BASE_URL = "https://api.openai.com/v1"


class OpenAIProvider(HostedProvider[openai.AsyncOpenAI]):
    """OpenAI and what speaks its language.

    Options beyond ``HostedProvider``'s: ``organization``, ``project``; ``azure_endpoint``, ``api_version`` and
    ``azure_deployment`` for Azure; ``moderation_model`` (empty: the server has no moderation); ``max_tokens_field``:
    ``max_completion_tokens`` (the default for OpenAI and Azure, whose reasoning models know no other) or ``max_tokens``
    (the default behind a ``base_url``, as many compatible servers know no other).
    """

    options: ClassVar[frozenset[str]] = HostedProvider.options | {
        "organization",
        "project",
        "azure_endpoint",
        "api_version",
        "azure_deployment",
        "max_tokens_field",
        "moderation_model",
    }
    known_models = (
        "gpt-4o-mini",
        "gpt-4o",
        "gpt-4.1-mini",
        "gpt-4.1",
        "gpt-5-nano",
        "gpt-5-mini",
        "gpt-5",
        "text-embedding-3-small",
        "text-embedding-3-large",
        "gpt-*",
        "chatgpt-*",
        "o[134]*",
        "text-embedding-*",
    )
    default_base_url = BASE_URL
    default_no_sampling_models = ("o[134]*", "gpt-5", "gpt-5-20*", "gpt-5-mini*", "gpt-5-nano*", "gpt-5-pro*")
    price_provider = "openai"
    supports_images = True
    supports_tools = True
    supports_json_schema = True
    supports_embeddings = True
    supports_n = True
    supports_penalties = True
    other_models = ("gpt-*", "chatgpt-*", "o[134]*")

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        self.organization = options.text(name, config, "organization")
        self.project = options.text(name, config, "project")
        self.azure_endpoint = options.url(name, config, "azure_endpoint")
        self.api_version = options.text(name, config, "api_version")
        self.azure_deployment = options.text(name, config, "azure_deployment")
        if bool(self.azure_endpoint) != bool(self.api_version):
            raise ImproperlyConfigured(f"Provider {name!r}: Azure needs both 'azure_endpoint' and 'api_version'.")
        if self.azure_deployment and not self.azure_endpoint:
            raise ImproperlyConfigured(f"Provider {name!r}: 'azure_deployment' needs 'azure_endpoint'.")
        if self.azure_endpoint and config.get("base_url"):
            raise ImproperlyConfigured(f"Provider {name!r}: 'azure_endpoint' and 'base_url' exclude each other.")
        vendors_own = bool(self.azure_endpoint) or self.base_url.rstrip("/") == BASE_URL
        self.max_tokens_field = options.choice(
            name,
            config,
            "max_tokens_field",
            ("max_completion_tokens", "max_tokens"),
            "max_completion_tokens" if vendors_own else "max_tokens",
        )
        self.moderation_model = options.text(
            name, config, "moderation_model", "" if self.azure_endpoint else "omni-moderation-latest"
        )
        self.supports_moderation = bool(self.moderation_model)

    def connect(self, api_key: str, http_client: httpx2.AsyncClient) -> openai.AsyncOpenAI:
        """An SDK client for OpenAI, a compatible server or Azure."""
        if self.azure_endpoint:
            client: openai.AsyncOpenAI = openai.AsyncAzureOpenAI(
                api_key=api_key,
                azure_endpoint=self.azure_endpoint,
                api_version=self.api_version,
                azure_deployment=self.azure_deployment or None,
                timeout=self.timeout,
                max_retries=0,
                default_headers=self.default_headers,
                http_client=http_client,
            )
        else:
            client = openai.AsyncOpenAI(
                api_key=api_key,
                base_url=self.base_url,
                timeout=self.timeout,
                max_retries=0,
                default_headers=self.default_headers,
                http_client=http_client,
            )
        # Set afterwards: the SDK takes None in its constructor for "look into the environment".
        client.organization = self.organization or None
        client.project = self.project or None
        return client

    def _parameters(self, request: ChatRequest, model: str) -> dict[str, Any]:
        self.check(request)
        wished = {
            self.max_tokens_field: request.max_tokens,
            "seed": request.seed,
            "presence_penalty": request.presence_penalty,
            "frequency_penalty": request.frequency_penalty,
            "stop": list(request.stop) or None,
            "n": request.n if request.n != 1 else None,
            "reasoning_effort": request.reasoning_effort,
        }
        return {
            "model": model,
            "messages": openai_wire.messages(request),
            **{name: value for name, value in wished.items() if value is not None},
            **self.sampling(request, model),
            **openai_wire.tools(request),
            **openai_wire.response_format(request.response_format),
        }

    def unwrap(self, sdk: openai.AsyncOpenAI, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Verify an event, a finished batch for example."""
        sdk.webhooks.unwrap(body, headers, secret=secret)

    def kind_of_event(self, payload: Mapping[str, Any]) -> Any:
        """``batch.completed`` and the like."""
        return payload.get("type")

    def addressed_by(self, body: Mapping[str, Any]) -> str:
        """Azure has an address for each deployment."""
        return str(body["model"]) if self.azure_endpoint else ""

    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        """Answer whole."""
        parameters = self._parameters(request, model)
        with translated(self.name, model):
            completion = await self.ask("/chat/completions", parameters)
            choices = tuple(openai_wire.choice(choice) for choice in completion["choices"])
            if not choices:
                raise ValueError("no choices")
            usage = self._usage(completion) or self.estimate(request, "".join(choice.text for choice in choices))
            return ChatResult(choices, usage, completion.get("model") or model)

    async def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece."""
        parameters = {**self._parameters(request, model), "stream": True, "stream_options": {"include_usage": True}}
        usage: Usage | None = None
        said: list[str] = []
        unfinished = set(range(request.n))
        with translated(self.name, model) as call:
            async with aclosing(await self.events("/chat/completions", parameters)) as chunks:
                async for chunk in chunks:
                    call.answering = True
                    usage = self._usage(chunk) or usage
                    for delta in openai_wire.deltas(chunk):
                        if delta.finish_reason:
                            unfinished.discard(delta.choice)
                        said.append(delta.text or (delta.tool_call.arguments if delta.tool_call else ""))
                        yield delta
            if unfinished:
                raise Cut
        yield Delta(usage=usage or self.estimate(request, "".join(said)), model=model)

    def _usage(self, answer: Mapping[str, Any]) -> Usage | None:
        """What the vendor reported; None where it did not, or reported nonsense."""
        usage = answer.get("usage")
        return self.reported(openai_wire.usage(usage)) if usage else None

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None = None) -> EmbeddingResult:
        """Vectors for texts, in their order."""
        body: dict[str, Any] = {"model": model, "input": list(texts), "encoding_format": "base64"}
        if dimensions is not None:
            body["dimensions"] = dimensions
        with translated(self.name, model):
            answer = await self.ask("/embeddings", body)
            vectors = openai_wire.vectors(answer, count=len(texts))
            used = answer.get("usage")
            usage = self.reported(Usage(input_tokens=used["prompt_tokens"])) if used else None
        estimated = Usage(input_tokens=sum(self.count_tokens(text) for text in texts), estimated=True)
        return EmbeddingResult(vectors, usage or estimated, model)

    async def moderate(self, texts: Sequence[str]) -> list[Moderation]:
        """A judgement for each text, in their order."""
        if not self.supports_moderation:
            return await super().moderate(texts)
        with translated(self.name, self.moderation_model):
            answer = await self.ask("/moderations", {"model": self.moderation_model, "input": list(texts)})
            return openai_wire.moderations(answer, count=len(texts))
