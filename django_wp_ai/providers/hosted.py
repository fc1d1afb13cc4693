"""What providers behind an HTTP API share: their options, and one pooled client per event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from abc import abstractmethod
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

import httpx2

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, Usage
from django_wp_ai.exceptions import ProviderUnavailable
from django_wp_ai.providers import options
from django_wp_ai.providers.base import Provider

logger = logging.getLogger("django_wp_ai.providers")

MAX_TOKENS = 2**31 - 1  # what an integer column holds


class SdkClient(Protocol):
    """What both SDKs' async clients can do."""

    async def close(self) -> None:
        """Release the connections."""


ClientT = TypeVar("ClientT", bound=SdkClient)


class HostedProvider(Provider, Generic[ClientT]):
    """A provider on a vendor's SDK.

    The SDK never retries (the gateway does) and follows no redirects (a key must not follow one). Options beyond
    ``Provider``'s: ``api_key``, ``needs_key`` (False for a compatible server without keys), ``base_url``,
    ``default_headers``, ``timeout_s`` (of silence; also the limit of a whole answer), ``connect_timeout_s`` (also for a
    free connection of the pool), ``max_connections``, and ``no_sampling_models``: globs of models to which
    ``temperature`` and ``top_p`` are not sent, because they refuse requests that have them.
    """

    options: ClassVar[frozenset[str]] = Provider.options | {
        "api_key",
        "needs_key",
        "base_url",
        "default_headers",
        "timeout_s",
        "connect_timeout_s",
        "max_connections",
        "no_sampling_models",
    }
    default_base_url: ClassVar[str]
    default_no_sampling_models: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        super().__init__(name, config)
        self._api_key = options.text(name, config, "api_key")
        self._key_needed = options.flag(name, config, "needs_key", self.needs_key)
        self.base_url = options.url(name, config, "base_url") or self.default_base_url
        self.default_headers = options.headers(name, config, "default_headers")
        silence_s = options.seconds(name, config, "timeout_s", settings.provider_timeout_s)
        connect_s = options.seconds(name, config, "connect_timeout_s", settings.provider_connect_timeout_s)
        self.timeout = httpx2.Timeout(silence_s, connect=connect_s, pool=connect_s)
        #: A whole answer takes no longer, also from a vendor that sends a byte now and then.
        self.deadline_s = silence_s + 2 * connect_s
        self.max_connections = options.count(name, config, "max_connections", settings.provider_max_connections)
        self.no_sampling_models = options.names(name, config, "no_sampling_models", self.default_no_sampling_models)
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, ClientT] = WeakKeyDictionary()
        self._connecting = threading.Lock()  # loops of other threads may connect at the same time

    @property
    def missing_key(self) -> bool:
        """Whether calls will fail because no ``api_key`` is configured."""
        return self._key_needed and not self._api_key

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @abstractmethod
    def connect(self, api_key: str, http_client: httpx2.AsyncClient) -> ClientT:
        """A fresh SDK client; every option the SDK would look for in the environment is passed."""

    def client(self) -> ClientT:
        """The running loop's client; raises ProviderUnavailable without a key."""
        loop = asyncio.get_running_loop()
        found = self._clients.get(loop)
        if found is not None:
            return found
        if self.missing_key:
            raise ProviderUnavailable("No API key is configured for this provider.")
        limits = httpx2.Limits(max_connections=self.max_connections, max_keepalive_connections=self.max_connections)
        http_client = httpx2.AsyncClient(timeout=self.timeout, limits=limits, follow_redirects=False)
        made = self.connect(self._api_key or "none", http_client)
        with self._connecting:
            for closed in [other for other in self._clients if other.is_closed()]:
                del self._clients[closed]  # a client refers to its loop, so the weak key alone would keep both
            self._clients[loop] = made
        return made

    async def aclose(self) -> None:
        """Release the connections of the running loop; the next call opens new ones."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.close()

    def reported(self, usage: Usage) -> Usage | None:
        """``usage`` as a vendor reported it; None when its numbers can't be counts of tokens."""
        counts = (
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_input_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        )
        return usage if all(isinstance(count, int) and 0 <= count <= MAX_TOKENS for count in counts) else None

    def sampling(self, request: ChatRequest, model: str) -> dict[str, float]:
        """``temperature`` and ``top_p`` as asked for, where the model takes them."""
        wished = {"temperature": request.temperature, "top_p": request.top_p}
        given = {name: value for name, value in wished.items() if value is not None}
        if given and any(fnmatchcase(model, entry) for entry in self.no_sampling_models):
            logger.debug("%s: %s takes no %s; left out", self.name, model, " or ".join(given))
            return {}
        return given
