"""Server-sent events as a response body, for ASGI and WSGI alike. Source: the HTML standard, section 9.2."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Protocol

from django.http import HttpRequest, StreamingHttpResponse

from django_wp_ai import bridge
from django_wp_ai.api.metering import tell_limits
from django_wp_ai.api.recording import HEARTBEAT, StreamBody, recorded
from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest, Delta, Principal
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.gateway.chat import open_stream
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.stream import DeltaStream
from django_wp_ai.gateway.tools.stream import open_stream_with_tools

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def event(data: Any, *, name: str = "") -> bytes:
    """One event; ``data`` is JSON-encoded, so it never holds a line break."""
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}\n\n".encode()


class Deltas(Protocol):
    """What a body reads: deltas to their end."""

    async def next(self, *, timeout_s: float | None = None) -> Delta | None:
        """The next delta, None at the end; raises TimeoutError after silence and what broke the stream."""

    def leave(self) -> None:
        """The reader is gone (or done)."""


class Framing(Protocol):
    """How a family writes one stream."""

    def start(self) -> Iterable[bytes]:
        """Events before the first delta."""

    def delta(self, delta: Delta) -> Iterable[bytes]:
        """Events of one delta."""

    def end(self) -> Iterable[bytes]:
        """Events after the last delta; the call is settled by now."""

    def error(self, error: WpAiError) -> Iterable[bytes]:
        """Events when the answer broke off."""


class EventStream(StreamBody):
    """The body: framed deltas, a comment in long silence. ``close`` tells the stream that the client is gone."""

    def __init__(self, stream: Deltas, framing: Framing) -> None:
        self._stream = stream
        self._framing = framing
        self._events = self._framed()

    async def __anext__(self) -> bytes:
        """The next event."""
        return await anext(self._events)

    async def aclose(self) -> None:
        """End the body; the stream drains by itself."""
        self._stream.leave()
        await self._events.aclose()

    def close(self) -> None:
        """Called by Django when the response ends, from whatever thread."""
        self._stream.leave()

    async def _framed(self) -> AsyncGenerator[bytes, None]:
        stream, framing = self._stream, self._framing
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
        except WpAiError as error:  # a provider that broke off, or a step of tools that was refused
            self.is_broken = True
            for chunk in framing.error(error):
                yield chunk
        finally:
            stream.leave()


async def respond(
    request: HttpRequest,
    principal: Principal,
    chat: ChatRequest,
    origin: Origin,
    framing: Callable[[DeltaStream], Framing],
) -> StreamingHttpResponse:
    """Open a stream (refusals are raised before any reply) and answer with its events."""

    async def begin() -> StreamBody:
        opening = open_stream_with_tools if chat.server_tools else open_stream
        stream: DeltaStream = await opening(principal, chat, origin)
        tell_limits(request, stream.call)
        return recorded(request, EventStream(stream, framing(stream)), HEADERS)

    return StreamingHttpResponse(await bridge.run_stream(request, begin()), headers=HEADERS)
