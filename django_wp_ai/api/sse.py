"""Server-sent events as a response body, for ASGI and WSGI alike. Source: the HTML standard, section 9.2."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Protocol

from django.http import HttpRequest, StreamingHttpResponse

from django_wp_ai import bridge
from django_wp_ai.api.metering import tell_limits
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, Delta, Principal
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway.chat import open_stream
from django_wp_ai.gateway.ledger import Origin
from django_wp_ai.gateway.stream import ChatStream

HEARTBEAT = b": keep-alive\n\n"


def event(data: Any, *, name: str = "") -> bytes:
    """One event; ``data`` is JSON-encoded, so it never holds a line break."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class Framing(Protocol):
    """How a family writes one stream."""

    def start(self) -> Iterable[bytes]:
        """Events before the first delta."""

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Events of one delta."""

    def end(self) -> Iterable[bytes]:
        """Events after the last delta; the call is settled by now."""

    def error(self, error: ProviderError) -> Iterable[bytes]:
        """Events when the provider broke off."""


class EventStream(AsyncGenerator[bytes, None]):
    """The body: framed deltas, a comment in long silence. ``close`` tells the stream that the client is gone."""

    def __init__(self, stream: ChatStream, framing: Framing) -> None:
        self._stream = stream
        self._events = _events(stream, framing)

    async def __anext__(self) -> bytes:
        """The next event."""
        return await anext(self._events)

    async def asend(self, value: None) -> bytes:
        """As ``anext``: events take no answer."""
        return await self._events.asend(value)

    async def athrow(self, *error: Any) -> bytes:
        """Raise inside the body."""
        return await self._events.athrow(*error)

    async def aclose(self) -> None:
        """End the body; the stream drains by itself."""
        self._stream.leave()
        await self._events.aclose()

    def close(self) -> None:
        """Called by Django when the response ends, from whatever thread."""
        self._stream.leave()


async def _events(stream: ChatStream, framing: Framing) -> AsyncGenerator[bytes, None]:
    try:
        for chunk in framing.start():
            yield chunk
        while True:
            try:
                delta = await stream.next(timeout_s=settings.stream_heartbeat_s)
            except TimeoutError:
                yield HEARTBEAT
                continue
            if delta is None:
                break
            for chunk in framing.delta(delta):
                yield chunk
        for chunk in framing.end():
            yield chunk
    except ProviderError as error:
        for chunk in framing.error(error):
            yield chunk
    finally:
        stream.leave()


async def respond(
    request: HttpRequest,
    principal: Principal,
    chat: ChatRequest,
    origin: Origin,
    framing: Callable[[ChatStream], Framing],
) -> StreamingHttpResponse:
    """Open a stream (refusals are raised before any reply) and answer with its events."""

    async def begin() -> EventStream:
        stream = await open_stream(principal, chat, origin)
        tell_limits(request, stream.call)
        return EventStream(stream, framing(stream))

    response = StreamingHttpResponse(
        await bridge.run_stream(request, begin()), content_type="text/event-stream; charset=utf-8"
    )
    response["Cache-Control"] = "no-cache, no-transform"
    response["X-Accel-Buffering"] = "no"
    return response
