"""The seam every provider implements, and nothing more.

A provider is configured once per process from ``DJANGO_WP_AI["PROVIDERS"][name]`` and used from any event loop.
It translates plain data to a vendor's wire and back; it never touches the database, the cache or a request.
Every failure leaves it as one of ``ProviderError``, ``ProviderUnavailable``, ``ProviderTimeout``, ``ProviderRefused``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, ChatResult, Delta, ImagePart, Usage
from django_wp_ai.exceptions import NotFound, ProviderRefused
from django_wp_ai.providers import options
from django_wp_ai.providers.webhooks import ProviderEvent

IMAGE_TOKENS = 1000  # what an image is taken for when nobody counted it: about the vendors' price of a megapixel


@dataclass(frozen=True, slots=True)
class EmbeddingResult:
    """Vectors in the order of the input, and what they used."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage
    model: str


@dataclass(frozen=True, slots=True)
class Moderation:
    """What a vendor's moderation says of one text; ``categories`` are the flagged ones in the vendor's words."""

    flagged: bool
    categories: tuple[str, ...] = ()


class Provider(ABC):
    """One configured vendor (or compatible server)."""

    #: Which settings a provider of this class takes; an unknown one fails at start.
    options: ClassVar[frozenset[str]] = frozenset(
        {"class", "models", "default_model", "price_provider", "max_concurrency"}
    )
    #: Models listed when settings name none. Globs are served but not listed.
    known_models: ClassVar[tuple[str, ...]] = ()
    #: Whether calls need a secret (a check reports a provider without one).
    needs_key: ClassVar[bool] = True
    #: Whether calls cost nothing.
    free: ClassVar[bool] = False
    #: Id of the provider in genai-prices; empty: prices come from settings only.
    price_provider: str = ""

    supports_images: ClassVar[bool] = False
    supports_tools: ClassVar[bool] = False
    supports_json_schema: ClassVar[bool] = False
    supports_embeddings: ClassVar[bool] = False
    #: An instance may say so too: not every server that speaks a vendor's language has all of its endpoints.
    supports_moderation: bool = False
    supports_n: ClassVar[bool] = False
    supports_penalties: ClassVar[bool] = False
    #: Globs of models that certainly make embeddings, and of those that certainly don't; of others nobody knows.
    embedding_models: ClassVar[tuple[str, ...]] = ("*embed*",)
    other_models: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        """``config`` is the host's dict for this provider; raises ImproperlyConfigured for what it can't mean."""
        unknown = sorted(set(config) - self.options)
        if unknown:
            known = ", ".join(sorted(self.options))
            raise ImproperlyConfigured(f"Provider {name!r} has unknown option(s) {', '.join(unknown)}; known: {known}.")
        self.name = name
        self.config = config
        self.models = options.names(name, config, "models", self.known_models)
        self.default_model = options.text(name, config, "default_model") or next(iter(self.listed_models()), "")
        if self.default_model and not self.serves(self.default_model):
            raise ImproperlyConfigured(f"Provider {name!r}: its default_model is not among its models.")
        self.price_provider = options.text(name, config, "price_provider", type(self).price_provider)
        #: Calls that may be under way at once in a process.
        self.max_concurrency = options.count(name, config, "max_concurrency", settings.provider_max_connections)

    def listed_models(self) -> list[str]:
        """Concrete model names, for ``v1/models``."""
        return [model for model in self.models if not any(mark in model for mark in "*?[")]

    def serves(self, model: str) -> bool:
        """Whether calls for ``model`` may be sent here; entries may be globs."""
        return any(fnmatchcase(model, entry) for entry in self.models)

    def may_embed(self, model: str) -> bool:
        """Whether ``model`` is served here and may make embeddings, as far as its name tells."""
        return self.supports_embeddings and self.serves(model) and not _is_among(model, self.other_models)

    @property
    def default_embedding_model(self) -> str:
        """The first listed model that certainly makes embeddings; empty where there is none."""
        if not self.supports_embeddings:
            return ""
        return next((model for model in self.listed_models() if _is_among(model, self.embedding_models)), "")

    def capabilities(self) -> dict[str, bool]:
        """Flags by name, for ``v1/models`` and for refusing early."""
        return {
            "images": self.supports_images,
            "tools": self.supports_tools,
            "json_schema": self.supports_json_schema,
            "embeddings": self.supports_embeddings,
            "moderation": self.supports_moderation,
            "n": self.supports_n,
            "penalties": self.supports_penalties,
        }

    def check(self, request: ChatRequest) -> None:
        """Raise ProviderRefused for what this provider can't do, before anything is sent."""
        choice = request.tool_choice
        if request.n > 1 and not self.supports_n:
            raise ProviderRefused("This provider gives one answer a call: n must be 1.")
        if (request.presence_penalty or request.frequency_penalty) and not self.supports_penalties:
            raise ProviderRefused("This provider knows no presence_penalty and no frequency_penalty.")
        if request.tools and not self.supports_tools:
            raise ProviderRefused("This provider takes no tools.")
        if choice and choice.type == "required" and not request.tools:
            raise ProviderRefused("A tool_choice that demands a tool needs tools.")
        if choice and choice.type == "function" and choice.name not in {tool.name for tool in request.tools}:
            raise ProviderRefused("The tool_choice names a tool that is not among the tools.")
        wished = request.response_format
        if wished and wished.type == "json_schema" and wished.schema is None:
            raise ProviderRefused("A json_schema response_format needs a schema.")
        if not self.supports_images and any(
            isinstance(part, ImagePart) for message in request.messages for part in message.content
        ):
            raise ProviderRefused("This provider takes no images.")

    @property
    def missing_key(self) -> bool:
        """Whether calls will fail because a needed key is not configured."""
        return False

    @abstractmethod
    async def chat(self, request: ChatRequest, *, model: str) -> ChatResult:
        """Answer whole. ``model`` is the vendor's own name; ``request.model`` is not looked at."""

    @abstractmethod
    def stream(self, request: ChatRequest, *, model: str) -> AsyncGenerator[Delta, None]:
        """Answer piece by piece; the last delta carries ``usage``, an earlier one ``finish_reason``.

        Closing the generator closes the vendor's connection. A stream that ends without a finish reason was cut:
        it raises ProviderError(charged=True).
        """

    async def embed(self, texts: Sequence[str], *, model: str, dimensions: int | None = None) -> EmbeddingResult:
        """Vectors for texts; only where ``supports_embeddings``."""
        raise NotImplementedError(f"{self.name} has no embeddings")

    async def moderate(self, texts: Sequence[str]) -> list[Moderation]:
        """A judgement for each text, in their order; only where ``supports_moderation``."""
        raise NotImplementedError(f"{self.name} has no moderation")

    def verify_webhook(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:  # noqa: ARG002 - for those with webhooks
        """The event that the vendor posted; header names are lower-case. Blocking, without the network.

        Raises Unauthenticated for what the vendor did not sign, Invalid for what is signed but no event, and NotFound
        where this provider has no webhooks or no secret for them.
        """
        raise NotFound

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text``, estimated without the network (4 bytes a token, at least 1 for non-empty text)."""
        return -(-len(text.encode("utf-8", "replace")) // 4)

    def estimate(self, request: ChatRequest, output: str) -> Usage:
        """The usage of a call that its vendor did not report, flagged ``estimated``."""
        images = sum(isinstance(part, ImagePart) for message in request.messages for part in message.content)
        texts = [message.text for message in request.messages]
        texts += [call.arguments for message in request.messages for call in message.tool_calls]
        texts += [f"{tool.name}{tool.description}{tool.parameters}" for tool in request.tools]
        return Usage(
            input_tokens=self.count_tokens("\n".join(texts)) + IMAGE_TOKENS * images,
            output_tokens=self.count_tokens(output),
            estimated=True,
        )

    async def aclose(self) -> None:  # noqa: B027 - a hook: most providers hold nothing
        """Release the connections of the running loop."""


def _is_among(model: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatchcase(model.lower(), entry) for entry in globs)
