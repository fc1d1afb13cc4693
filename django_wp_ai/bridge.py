"""Where async flows meet blocking code: database hops, and flows driven from WSGI.

Flows are async and written once. Three kinds of callers run them:

* an ASGI server: database work goes to a small pool of threads with lasting connections, so that 500 open streams
  hold ``DB_THREADS`` connections and not 500;
* a WSGI server: flows run on one event loop per process (providers' connection pools live there); database work comes
  back to the waiting request thread, and a stream is driven from that thread item by item;
* tests and plain async code: Django's own ``sync_to_async`` rule.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

from asgiref.sync import SyncToAsync, sync_to_async
from django.core.handlers.wsgi import WSGIRequest
from django.db import close_old_connections, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.http import HttpRequest

from django_wp_ai.conf import settings

P = ParamSpec("P")
T = TypeVar("T")

KEPT_S = 2.0

_thread = threading.local()
_caller: ContextVar[CallerThread | None] = ContextVar("django_wp_ai_caller", default=None)


async def in_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking ``call`` (database, cache) off the event loop; one hop, however much it does."""
    caller = _caller.get()
    if caller is not None:
        return await asyncio.wrap_future(caller.submit(partial(call, *args, **kwargs)))
    if is_pooled():
        return await in_pool(call, *args, **kwargs)
    return await sync_to_async(call)(*args, **kwargs)


def is_pooled() -> bool:
    """Whether blocking work of this flow goes to the pool: an ASGI server's request, or a worker's job."""
    return _caller.get() is None and SyncToAsync.thread_sensitive_context.get(None) is not None


def submit(work: Callable[P, None], /, *args: P.args, **kwargs: P.kwargs) -> None:
    """Have a database thread do ``work``, which carries its outcome itself; RuntimeError where the process ends."""
    _db_pool().submit(work, *args, **kwargs)


async def in_pool(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``in_thread``, but never on a thread that serves a request and may be busy with its slow client."""
    return await _hop(_db_pool(), partial(call, *args, **kwargs))


async def in_tool_thread(call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run blocking host code that may hang: on threads of its own, so that it holds up nobody's database work."""
    return await _hop(_tool_pool(), partial(call, *args, **kwargs))


def _hop(pool: ThreadPoolExecutor, call: Callable[[], T]) -> asyncio.Future[T]:
    """``run_in_executor`` with the caller's context, for half of its price: the outcome goes straight to the loop."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()
    pool.submit(_work, loop, outcome, copy_context(), call)
    return outcome


def _work(loop: asyncio.AbstractEventLoop, outcome: asyncio.Future[T], context: Context, call: Callable[[], T]) -> None:
    if outcome.cancelled():  # nobody waits any more, and nothing has begun
        return
    tell: Callable[[], None]
    try:
        tell = partial(outcome.set_result, context.run(with_connections, call))
    except BaseException as error:  # noqa: BLE001 - carried to the awaiting flow
        tell = partial(outcome.set_exception, error)
    with suppress(RuntimeError):  # the loop ended meanwhile
        loop.call_soon_threadsafe(_unless_cancelled, outcome, tell)


def _unless_cancelled(outcome: asyncio.Future[T], tell: Callable[[], None]) -> None:
    if not outcome.cancelled():
        tell()


def let_connections_go() -> None:
    """As Django does it at a request's end, in the middle of one that goes on without the database for a while."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close_if_unusable_or_obsolete()


def with_connections(call: Callable[[], T]) -> T:
    """``call``, with connections tended before and after, as Django does it around a request."""
    close_old_connections()
    try:
        return call()
    finally:
        close_old_connections()


@cache
def _db_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(
        max_workers=settings.db_threads, thread_name_prefix="django-wp-ai-db", initializer=_keep_connections
    )


def _keep_connections() -> None:
    _thread.keeps_connections = True


def _keep(*, connection: BaseDatabaseWrapper, **_: Any) -> None:
    """Let a database thread take a connection from the host's pool once a while, and not for each hop.

    No more than half of the pool is kept so, and none that the host wants to be checked each time.
    """
    if not getattr(_thread, "keeps_connections", False) or connection.settings_dict["CONN_HEALTH_CHECKS"]:
        return
    if getattr(getattr(connection, "pool", None), "max_size", 0) >= 2 * settings.db_threads:
        connection.close_at = time.monotonic() + KEPT_S


connection_created.connect(_keep, dispatch_uid="django_wp_ai.bridge")


@cache
def _tool_pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=settings.tool_threads, thread_name_prefix="django-wp-ai-tool")


class CallerThread:
    """Lets the thread that waits for a flow do that flow's blocking work: its connections, its transactions.

    Between two ``drive`` calls work waits for the next one; after ``detach`` it goes to the pool.
    """

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._attached = True
        self._lock = threading.Lock()

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Called on the loop: hand ``call`` to the waiting thread."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - carried to the awaiting flow
                future.set_exception(error)

        with self._lock:
            if self._attached:
                self._work.put(work)
                return future
        return _db_pool().submit(with_connections, call)

    def drive(self, flow: Coroutine[Any, Any, T]) -> T:
        """Called on the waiting thread: run ``flow`` on the process's loop, doing its blocking work here."""
        token = _caller.set(self)
        try:
            future = asyncio.run_coroutine_threadsafe(flow, flow_loop())
        finally:
            _caller.reset(token)
        future.add_done_callback(lambda _: self._work.put(None))
        while (work := self._work.get()) is not None:
            work()
        return future.result()

    def detach(self) -> None:
        """Called on the waiting thread when it leaves: finish what was handed over, refuse more."""
        with self._lock:
            self._attached = False
        while not self._work.empty():
            if (work := self._work.get()) is not None:
                work()


@cache
def flow_loop() -> asyncio.AbstractEventLoop:
    """The event loop on which a WSGI process runs its flows, in a daemon thread started on first use."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="django-wp-ai-flows", daemon=True).start()
    return loop


async def run(request: HttpRequest, flow: Coroutine[Any, Any, T]) -> T:
    """Await ``flow`` for ``request``: here under ASGI, on the process's flow loop under WSGI."""
    if not isinstance(request, WSGIRequest):
        return await flow
    return await sync_to_async(run_blocking)(flow)


def run_blocking(flow: Coroutine[Any, Any, T]) -> T:
    """Run ``flow`` on the process's flow loop for a thread (of a plain view) that waits and does its blocking work."""
    caller = CallerThread()
    try:
        return caller.drive(flow)
    finally:
        caller.detach()


async def run_stream(
    request: HttpRequest, flow: Coroutine[Any, Any, AsyncGenerator[T, None]]
) -> AsyncGenerator[T, None] | Iterator[T]:
    """As ``run`` for a flow that opens a stream; under WSGI the stream comes back as a plain iterator."""
    if not isinstance(request, WSGIRequest):
        return await flow
    caller = CallerThread()
    try:
        stream = await sync_to_async(caller.drive)(flow)
    except BaseException:
        await sync_to_async(caller.detach)()
        raise
    return _DrivenStream(caller, stream)


class _DrivenStream(Iterator[T]):
    """Pulls one item at a time on the request's thread; a class, so that ``close`` works before the first pull."""

    def __init__(self, caller: CallerThread, stream: AsyncGenerator[T, None]) -> None:
        self._caller = caller
        self._stream = stream
        self._closed = False

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        try:
            return self._caller.drive(_next(self._stream))
        except StopAsyncIteration:
            self.close()
            raise StopIteration from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the stream; the WSGI server calls this when the client leaves."""
        if self._closed:
            return
        self._closed = True
        try:
            self._caller.drive(_close(self._stream))
        finally:
            self._caller.detach()


async def _next(stream: AsyncGenerator[T, None]) -> T:
    return await anext(stream)


async def _close(stream: AsyncGenerator[T, None]) -> None:
    await stream.aclose()


def _begin_anew() -> None:
    for made_once in (_db_pool, _tool_pool, flow_loop):
        made_once.cache_clear()


if hasattr(os, "register_at_fork"):  # threads don't survive a fork: what was made before it would never answer
    os.register_at_fork(after_in_child=_begin_anew)
