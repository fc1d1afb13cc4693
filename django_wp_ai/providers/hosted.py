"""What providers behind an HTTP API share: their options, and one pooled client per event loop."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx2

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, Usage
from django_wp_ai.exceptions import NotFound, ProviderUnavailable
from django_wp_ai.providers import options, server_events, webhooks
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.failures import Reported
from django_wp_ai.providers.prepared import Prepared, SdkClient, prepare, unconnected
from django_wp_ai.providers.transport import Answer, Connections, connections

logger = logging.getLogger("django_wp_ai.providers")

MAX_TOKENS = 2**31 - 1  # what an integer column holds


PREPARED_KEPT = 256

ClientT = TypeVar("ClientT", bound=SdkClient)


class HostedProvider(Provider, Generic[ClientT]):
    """A provider on a vendor's SDK.

    The SDK says where a request goes and with which headers, once for each kind (``prepared``); from then on requests
    are sent as they are, which costs a fifth of the SDK's way. Nothing is retried (the gateway does that) and no
    redirect is followed (a key must not follow one). Answers are plain JSON. Options beyond
    ``Provider``'s: ``api_key``, ``needs_key`` (False for a compatible server without keys), ``base_url``,
    ``default_headers``, ``timeout_s`` (of silence; also the limit of a whole answer), ``connect_timeout_s`` (also for a
    free connection of the pool), ``max_connections`` (also the default of ``max_concurrency``),
    ``no_sampling_models``: globs of models to which ``temperature`` and ``top_p`` are not sent, because they refuse
    requests that have them, and ``webhook_secret``, by which the vendor's own events are verified.
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
        "webhook_secret",
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
        self.max_concurrency = options.count(name, config, "max_concurrency", self.max_connections)
        self.no_sampling_models = options.names(name, config, "no_sampling_models", self.default_no_sampling_models)
        self._webhook_secret = options.webhook_secret(name, config, "webhook_secret")
        self._prepared: dict[tuple[str, str], Prepared] = {}
        self._open: WeakKeyDictionary[asyncio.AbstractEventLoop, Connections] = WeakKeyDictionary()
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

    @abstractmethod
    def unwrap(self, sdk: ClientT, body: bytes, headers: Mapping[str, str], secret: str) -> None:
        """Let the SDK verify an event."""

    @abstractmethod
    def kind_of_event(self, payload: Mapping[str, Any]) -> Any:
        """Where the vendor says what happened."""

    @cached_property
    def _verifier(self) -> ClientT:
        return self.connect("none", unconnected())

    def verify_webhook(self, body: bytes, headers: Mapping[str, str]) -> webhooks.ProviderEvent:
        """The event that the vendor posted."""
        if not self._webhook_secret:
            raise NotFound
        with webhooks.verifying():
            self.unwrap(
                self._verifier, body, {name: headers.get(name, "") for name in webhooks.HEADERS}, self._webhook_secret
            )
            payload = json.loads(body)
        return webhooks.event(payload, self.kind_of_event(payload) if isinstance(payload, dict) else None)

    def addressed_by(self, body: Mapping[str, Any]) -> str:  # noqa: ARG002 - for those whose address depends on it
        """What in a body changes the address it is sent to."""
        return ""

    def _connections(self) -> Connections:
        """The running loop's; raises ProviderUnavailable without a key."""
        loop = asyncio.get_running_loop()
        found = self._open.get(loop)
        if found is not None:
            return found
        if self.missing_key:
            raise ProviderUnavailable("No API key is configured for this provider.")
        made = connections(timeout=self.timeout, max_connections=self.max_connections)
        with self._connecting:
            for closed in [other for other in self._open if other.is_closed()]:
                del self._open[closed]  # connections refer to their loop, so the weak key alone would keep both
            self._open[loop] = made
        return made

    async def ask(self, path: str, body: Mapping[str, Any]) -> Any:
        """The whole answer to a POST; raises Reported, and httpx2's errors."""
        async with asyncio.timeout(self.deadline_s):
            answer = await self._send(path, body)
            return json.loads(await answer.aread())

    async def events(self, path: str, body: Mapping[str, Any]) -> AsyncGenerator[Any, None]:
        """The events of the answer to a POST, to be read at once; closing the generator closes the connection."""
        return server_events.events(await self._send(path, body))

    async def _send(self, path: str, body: Mapping[str, Any]) -> Answer:
        """Raises ValueError for what is no JSON."""
        to_vendor = self._connections()
        prepared = await self._as_the_sdk_would(path, body)
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        answer = await to_vendor.post(prepared.url, prepared.fields, content)
        if answer.status_code < 300:
            return answer
        try:
            error = json.loads(await answer.aread())
        except ValueError:
            error = None
        raise Reported(error, status=answer.status_code, headers=answer.headers)

    async def _as_the_sdk_would(self, path: str, body: Mapping[str, Any]) -> Prepared:
        key = (path, self.addressed_by(body))
        found = self._prepared.get(key)
        if found is None:
            found = await prepare(lambda http: self.connect(self._api_key or "none", http), path, body)
            if len(self._prepared) >= PREPARED_KEPT:  # callers choose models, so models must not fill the memory
                self._prepared.clear()
            self._prepared[key] = found
        return found

    async def aclose(self) -> None:
        """Release the connections of the running loop; the next call opens new ones."""
        found = self._open.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found.aclose()

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
