"""Scripts in the shared cache, where it is Redis-compatible, with a bound on how long they may take.

A cache that does not answer within ``CACHE_TIMEOUT_S`` is as good as dead: after two tries the process leaves it alone
for ``COOLDOWN_S``, then lets one call try again while the others still go elsewhere. The host's own cache settings wait
for seconds or for ever, so this keeps connections of its own to the same server.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from django.core.signals import setting_changed
from django_redis import get_redis_connection
from redis import BlockingConnectionPool, ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import NoScriptError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from django_wp_ai.conf import settings

logger = logging.getLogger("django_wp_ai.shared_cache")

T = TypeVar("T")

COOLDOWN_S = 2.0

# What belongs to the host's pool and not to the server's address; the notifications would also lengthen the timeout.
_POOL_OPTIONS = ("maint_", "orig_", "himport_", "event_dispatcher", "retry", "socket_timeout", "socket_connect_timeout")


class CacheUnavailable(Exception):
    """There is no Redis-compatible cache, or it does not answer in time."""


class Script:
    """A Lua script; it must be safe to run twice, because a reply may be lost on its way."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()

    def run(self, client: Redis | Lines, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """Run by digest; a server that does not know the script yet is sent it."""
        try:
            return client.execute_command("EVALSHA", self.sha, len(keys), *keys, *arguments)
        except NoScriptError:
            return client.execute_command("EVAL", self.source, len(keys), *keys, *arguments)


@dataclass(frozen=True, slots=True)
class Run:
    """A script to be run, and what with."""

    script: Script
    keys: Sequence[str]
    arguments: Sequence[str | int]

    @property
    def command(self) -> tuple[str | int, ...]:
        """By digest."""
        return ("EVALSHA", self.script.sha, len(self.keys), *self.keys, *self.arguments)


class Lines:
    """A bounded pool's connections, kept at hand for the next command, for half of what a client's way takes.

    The pool still bounds how many there are. After a failure all go back to it, since it gives none out unchecked.
    """

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool
        self._idle: deque[Any] = deque()

    def execute_command(self, *command: str | int) -> Any:
        """The server's reply; raises RedisError."""
        [reply] = self.execute_commands([command])
        if isinstance(reply, ResponseError):
            raise reply
        return reply

    def execute_commands(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        """The server's replies, a ResponseError among them; raises any other RedisError."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            replies = [_reply(connection) for _ in commands]
        except BaseException:
            connection.disconnect()
            self._pool.release(connection)
            self._give_back()
            raise
        self._idle.append(connection)
        return replies

    def _give_back(self) -> None:
        with suppress(IndexError):
            while True:
                self._pool.release(self._idle.pop())


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refused:
        return refused


class SharedCache:
    """One cache alias of this process: its bounded client and the breaker before it."""

    def __init__(self, client: Redis | Lines | None, make_key: Callable[[str], Any] = str) -> None:
        self._client = client
        self._make_key = make_key
        self._open_until_s = 0.0
        self._lock = threading.Lock()

    @property
    def runs_scripts(self) -> bool:
        """Whether it is Redis-compatible at all; it may be dead all the same."""
        return self._client is not None

    def key(self, name: str) -> str:
        """As the host's cache writes keys: with its prefix and version."""
        return str(self._make_key(name))

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str | int]) -> Any:
        """The script's result; raises CacheUnavailable within two timeouts."""
        return self._tried(lambda client: script.run(client, keys, arguments))

    def run_all(self, runs: Sequence[Run]) -> list[Any]:
        """As ``run`` of each; several are sent at once, and where one of them fails they fail together."""
        return self._tried(lambda client: _run_all(client, runs))

    def _tried(self, ask: Callable[[Redis | Lines], T]) -> T:
        if self._client is None or not self._may_try():
            raise CacheUnavailable
        try:
            try:
                result = ask(self._client)
            except (RedisConnectionError, RedisTimeoutError):  # a pooled connection was stale, a busy machine late
                result = ask(self._client)
        except RedisError as error:
            self._failed(error)
            raise CacheUnavailable from error
        self._succeeded()
        return result

    def answers(self) -> bool:
        """Whether the cache is not Redis at all, or answers in time."""
        if self._client is None:
            return True
        try:
            self.run(_PING, (), ())
        except CacheUnavailable:
            return False
        return True

    def _may_try(self) -> bool:
        if not self._open_until_s:
            return True
        now_s = time.monotonic()
        with self._lock:
            if now_s < self._open_until_s:
                return False
            self._open_until_s = now_s + COOLDOWN_S  # this call tries; the others wait for what it finds
            return True

    def _failed(self, error: RedisError) -> None:
        with self._lock:
            was_open, self._open_until_s = self._open_until_s, time.monotonic() + COOLDOWN_S
        if not was_open:
            logger.warning("The shared cache is left alone for %s s: %s.", COOLDOWN_S, type(error).__name__)

    def _succeeded(self) -> None:
        if self._open_until_s:
            self._open_until_s = 0.0
            logger.info("The shared cache answers again.")


def _run_all(client: Redis | Lines, runs: Sequence[Run]) -> list[Any]:
    if len(runs) == 1 or not isinstance(client, Lines):
        return [one.script.run(client, one.keys, one.arguments) for one in runs]
    replies = client.execute_commands([one.command for one in runs])
    for number, (one, reply) in enumerate(zip(runs, replies, strict=True)):
        if isinstance(reply, NoScriptError):
            replies[number] = one.script.run(client, one.keys, one.arguments)
        elif isinstance(reply, ResponseError):
            raise reply
    return replies


_PING = Script("return 1")
_shared: dict[str, SharedCache] = {}
_shared_lock = threading.Lock()


def shared_cache(alias: str | None = None) -> SharedCache:
    """This process's bounded way to a cache alias (default: the one that settings name)."""
    alias = alias or settings.cache_alias
    found = _shared.get(alias)
    if found is None:
        with _shared_lock:
            client = _bounded(_host_client(alias))
            made = SharedCache(client) if client is None else SharedCache(client, caches[alias].make_key)
            found = _shared.setdefault(alias, made)
    return found


def _host_client(alias: str) -> Redis | None:
    cache = caches[alias]
    if isinstance(cache, RedisCache):  # Django's own; it has no public way to its client
        client: Redis = cache._cache.get_client(None, write=True)
        return client
    try:
        client = get_redis_connection(alias)
    except (NotImplementedError, TypeError):  # another backend, or one that shards keys over servers
        return None
    return client


def _bounded(client: Redis | None) -> Redis | Lines | None:
    """A client of the same server with short timeouts; a pool of another kind (Sentinel) keeps the host's own."""
    if client is None or type(client.connection_pool) not in (ConnectionPool, BlockingConnectionPool):
        return client
    pool = client.connection_pool
    address = {name: value for name, value in pool.connection_kwargs.items() if not name.startswith(_POOL_OPTIONS)}
    if (notifications := pool.connection_kwargs.get("maint_notifications_config")) is not None:
        address["maint_notifications_config"] = type(notifications)(enabled=False)
    bounded = ConnectionPool(
        connection_class=pool.connection_class,
        max_connections=pool.max_connections,
        socket_timeout=settings.cache_timeout_s,
        socket_connect_timeout=settings.cache_timeout_s,
        retry=Retry(NoBackoff(), 0),
        **address,
    )
    return Lines(bounded)


def _forget_on_change(*, setting: str, **_: Any) -> None:
    if setting in {"CACHES", "DJANGO_WP_AI"}:
        _shared.clear()


setting_changed.connect(_forget_on_change, dispatch_uid="django_wp_ai.shared_cache")


def _begin_anew() -> None:
    global _shared_lock
    _shared_lock = threading.Lock()
    _shared.clear()


if hasattr(os, "register_at_fork"):  # sockets are the parent's, and a thread of it may have held the lock
    os.register_at_fork(after_in_child=_begin_anew)
