"""The stand-in itself: takes a request, reads the directives, answers in the dialect of the path."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import ModuleType
from typing import Any
from weakref import WeakSet

from tests.vendor import answers, anthropic, directives, openai
from tests.vendor.directives import Directives
from tests.vendor.embeddings import embeddings
from tests.vendor.http import Connection, Received
from tests.vendor.moderations import moderations
from tests.vendor.openai import Refused

KEPT_REQUESTS = 5000
Answering = Coroutine[Any, Any, None] | None
_CHAT = re.compile(r"(?:/v1|/openai/deployments/[^/]+)/chat/completions")
_EMBEDDINGS = re.compile(r"(?:/v1|/openai/deployments/[^/]+)/embeddings")


class Vendor:
    """State of one stand-in: what it received, what it holds back."""

    def __init__(self) -> None:
        self.requests: deque[Received] = deque(maxlen=KEPT_REQUESTS)
        self._connections: WeakSet[Connection] = WeakSet()
        self._failures: Counter[str] = Counter()
        self._said: Counter[tuple[str, ...]] = Counter()
        self._gate = asyncio.Semaphore(0)
        self._open_gate = False

    def connection(self) -> Connection:
        """A protocol for one client."""
        connection = Connection(self.answer)
        self._connections.add(connection)
        return connection

    def hang_up(self) -> None:
        """Close every connection."""
        for connection in list(self._connections):
            connection.close()

    def clear(self) -> None:
        """Forget everything received, counted and released."""
        self.requests.clear()
        self._failures.clear()
        self._said.clear()
        self._gate = asyncio.Semaphore(0)
        self._open_gate = False

    def release(self, count: int | None = 1) -> None:
        """Let the next ``count`` held deltas go; ``None``: all, from now on."""
        self._open_gate = self._open_gate or count is None
        for _ in range(KEPT_REQUESTS if count is None else count):
            self._gate.release()

    def answer(self, received: Received, connection: Connection) -> Answering:
        """Reply at once, or return what will."""
        if received.path.startswith("/control/"):
            self._control(received, connection)
            return None
        self.requests.append(received)
        is_anthropic = "anthropic-version" in received.headers or received.path == "/v1/messages"
        dialect: ModuleType = anthropic if is_anthropic else openai
        try:
            dialect.authenticate(received.headers)
            return self._route(received, connection, dialect)
        except Refused as refused:
            body = dialect.error(refused.status, refused.message, code=refused.code, param=refused.param)
            connection.reply(refused.status, body)
            return None

    def _route(self, received: Received, connection: Connection, dialect: ModuleType) -> Answering:
        if received.method == "GET" and received.path == "/v1/models":
            connection.reply(200, dialect.models())
            return None
        try:
            received.body = body = json.loads(received.raw)
        except ValueError:
            raise Refused(400, "We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict):
            raise Refused(400, "The body must be a JSON object.")
        if _EMBEDDINGS.fullmatch(received.path):
            return self._of_texts(connection, body, embeddings)
        if received.path == "/v1/moderations":
            return self._of_texts(connection, body, moderations)
        wanted = received.path == "/v1/messages" if dialect is anthropic else _CHAT.fullmatch(received.path)
        if not wanted or received.method != "POST":
            raise Refused(404, f"Invalid URL ({received.method} {received.path})")
        conversation = dialect.read(body)
        wishes = directives.parse(conversation.last_user_text, model=conversation.model)
        if self._spent(wishes, conversation.last_user_text):
            wishes.status, wishes.close, wishes.garbage = 0, False, ""
        if len(wishes.says) > 1 and not wishes.fails:
            self._said[turns := tuple(wishes.says)] += 1
            wishes.say = turns[min(self._said[turns], len(turns)) - 1]
        answer = answers.compose(conversation, wishes)
        if conversation.stream and not wishes.status and not wishes.close:
            events = dialect.events(conversation, answer, body)
            return self._stream(received, connection, wishes, events, dialect)
        whole = b"" if wishes.status else dialect.whole(conversation, answer)
        return self._whole(connection, wishes, whole, dialect)

    def _spent(self, wishes: Directives, text: str) -> bool:
        if not (wishes.times and wishes.fails):
            return False
        self._failures[text] += 1
        return self._failures[text] > wishes.times

    def _of_texts(
        self, connection: Connection, body: dict[str, Any], answer: Callable[[dict[str, Any]], bytes]
    ) -> Answering:
        texts = body.get("input")
        first = texts[0] if isinstance(texts, list) and texts else texts
        text = first if isinstance(first, str) else ""
        wishes = directives.parse(text, model=body.get("model", ""))
        if self._spent(wishes, text):
            wishes.status, wishes.close, wishes.garbage = 0, False, ""
        return self._whole(connection, wishes, answer(body), openai)

    def _whole(self, connection: Connection, wishes: Directives, whole: bytes, dialect: ModuleType) -> Answering:
        if wishes.delay or wishes.hold:
            return self._later(connection, wishes, whole, dialect)
        self._send(connection, wishes, whole, dialect)
        return None

    async def _later(self, connection: Connection, wishes: Directives, whole: bytes, dialect: ModuleType) -> None:
        await asyncio.sleep(wishes.delay)
        if wishes.hold and not self._open_gate:
            await self._gate.acquire()
        self._send(connection, wishes, whole, dialect)

    def _send(self, connection: Connection, wishes: Directives, whole: bytes, dialect: ModuleType) -> None:
        if wishes.close:
            connection.abort()
        elif wishes.status:
            after = wishes.retry_after
            if after == "http_date":
                after = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
            body = dialect.error(
                wishes.status, "The stand-in was told to fail: secret-vendor-text", code=wishes.code or None
            )
            connection.reply(wishes.status, body, extra=f"retry-after: {after}\r\n" if after else "")
        elif wishes.garbage == "shape":
            connection.reply(200, b'{"hello": "world"}')
        elif wishes.garbage:
            connection.reply(200, b"\xff\xfe<html>secret-vendor-text")
        else:
            connection.reply(200, whole)

    async def _stream(
        self, received: Received, connection: Connection, wishes: Directives, events: Any, dialect: ModuleType
    ) -> None:
        if wishes.delay:
            await asyncio.sleep(wishes.delay)
        connection.start_stream()
        if wishes.error_first:
            await connection.piece(dialect.stream_error())
            connection.finish_stream()
            return
        for data, is_delta in events:
            if is_delta and await self._interrupted(received, connection, wishes, dialect):
                return
            if is_delta and wishes.hold and not self._open_gate:
                await self._gate.acquire()
            if not (wishes.no_usage and dialect.is_usage(data)):
                await connection.piece(data)
                await asyncio.sleep(wishes.pause if is_delta else 0)
            received.deltas += is_delta
        if not await self._interrupted(received, connection, wishes, dialect):
            connection.finish_stream()

    async def _interrupted(
        self, received: Received, connection: Connection, wishes: Directives, dialect: ModuleType
    ) -> bool:
        """Break the stream here if this is where the directives want it broken."""
        if wishes.cut_after == received.deltas:
            await asyncio.sleep(0.01)  # a reset overtakes bytes that the client has not read yet
            connection.abort()
        elif wishes.error_after == received.deltas:
            await connection.piece(dialect.stream_error())
            connection.finish_stream()
        elif wishes.garbage and received.deltas == 1:
            kind = b"event: content_block_delta\n" if dialect is anthropic else b""
            await connection.piece(
                kind + (b'data: {"hello": 1}\n\n' if wishes.garbage == "shape" else b"data: {no\n\n")
            )
            connection.finish_stream()
        elif wishes.end_after == received.deltas:
            connection.finish_stream()
        else:
            return False
        return True

    def _control(self, received: Received, connection: Connection) -> None:
        if received.path == "/control/release":
            wished = json.loads(received.raw or b"{}")
            self.release(None if wished.get("all") else wished.get("count", 1))
        elif received.path == "/control/clear":
            self.clear()
        log = [request.as_dict() for request in self.requests] if received.path == "/control/log" else []
        connection.reply(200, json.dumps({"requests": log}).encode())
