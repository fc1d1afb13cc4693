"""A vendor's server-sent events as JSON. Source: the HTML standard, section 9.2; both vendors send JSON alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx2

from django_wp_ai.providers.failures import Reported
from django_wp_ai.providers.transport import Answer

MAX_EVENT_BYTES = 16 * 1024 * 1024
DRAIN_S = 1.0

_BLANK_LINE = re.compile(rb"\r?\n\r?\n|\r\r")


async def events(answer: Answer) -> AsyncGenerator[Any, None]:
    """The data of each event; the answer is closed with it.

    Raises Reported for an error inside the stream, ValueError for what is no JSON.
    """
    chunks = answer.aiter_bytes()
    buffer = b""
    try:
        async for chunk in chunks:
            buffer += chunk
            if len(buffer) > MAX_EVENT_BYTES:
                raise ValueError("an event without an end")
            *blocks, buffer = _BLANK_LINE.split(buffer)
            for data in _data(blocks):
                if data.startswith(b"[DONE]"):
                    await _drain(chunks)
                    return
                yield _event(data)
    finally:
        await answer.aclose()


def _event(data: bytes) -> Any:
    event = json.loads(data)
    if isinstance(event, dict) and event.get("error"):
        raise Reported(event)
    return event


def _data(blocks: list[bytes]) -> Iterator[bytes]:
    """The data of events; comments and events without any are left out."""
    for block in blocks:
        lines = [line[5:].removeprefix(b" ") for line in block.splitlines() if line.startswith(b"data:")]
        if lines:
            yield lines[0] if len(lines) == 1 else b"\n".join(lines)


async def _drain(chunks: Any) -> None:
    """Read to the very end, so that the connection can be used again; not for long, as all has been said."""
    with contextlib.suppress(TimeoutError, httpx2.HTTPError):
        async with asyncio.timeout(DRAIN_S):
            async for _ in chunks:
                pass
