"""The site's end of a callback: a real server that answers as a test says, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from tests.unit.security.outbound.servers import OK, Answer, Listener, listening, replying


def status(code: int, *, body: str = "", **headers: str) -> Answer:
    """A whole reply; names of headers with underscores for hyphens."""
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    encoded = body.encode()
    head = f"HTTP/1.1 {code} {HTTPStatus(code).phrase}\r\n{fields}Content-Length: {len(encoded)}\r\n\r\n"
    return replying(head.encode() + encoded)


class Receiver:
    """``answers`` are given in turn, and the last one to all further requests; none: 200."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.url = listener.url("/hook")
        self.port = listener.port
        self.answers: list[Answer] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chosen = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0] if self.answers else replying(OK)
        await chosen(reader, writer)

    @property
    def connections(self) -> int:
        return self._listener.connections

    @property
    def received(self) -> list[tuple[dict[str, str], bytes]]:
        """Headers, by names in lower case, and the body of each request."""
        found = []
        for request in self._listener.requests:
            head, _, body = request.partition(b"\r\n\r\n")
            lines = head.decode("latin-1").split("\r\n")[1:]
            found.append(({name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}, body))
        return found


@contextmanager
def receiving(**options: Any) -> Iterator[Receiver]:
    """A receiver on a thread of its own."""
    ready, found, loop = threading.Event(), [], asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await found[0].answer(reader, writer)

        async with listening(answer, **options) as listener:
            found.append(Receiver(listener))
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
    thread.start()
    ready.wait()
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
