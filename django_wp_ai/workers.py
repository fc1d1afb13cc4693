"""The event loop of one django-q2 worker process: it runs jobs and delivers callbacks beside django-q2's own tasks.

django-q2 forks its workers and gives each task to one of them. Work that waits for vendors does not fit into tasks: it
would hold one process each, and be started again after ``retry``. So each worker process has one thread with one loop,
started when the process begins. A task only wakes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from multiprocessing import current_process
from typing import Any

from asgiref.sync import ThreadSensitiveContext

from django_wp_ai.bridge import in_pool
from django_wp_ai.callbacks.courier import Courier
from django_wp_ai.conf import settings
from django_wp_ai.jobs.defects import described
from django_wp_ai.jobs.runner import LEAVE_S, Runner
from django_wp_ai.providers import registry

logger = logging.getLogger("django_wp_ai.jobs")

PARENT_CHECK_S = 1.0
SETTLE_S = 2.0  # for calls that go on without their job until their usage is written

_worker: Worker | None = None


class Worker:
    """One process's loop: ``start`` it, ``poke`` it, ``drain`` it."""

    def __init__(self) -> None:
        self.name = f"{socket.gethostname()[:80]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._runner, self._courier = Runner(self.name), Courier()
        self._stopping = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._parent = os.getppid()
        # A daemon: `drain` waits for it, with a bound, while the process can still use its database.
        self._thread = threading.Thread(target=self._run, name="django-wp-ai-worker", daemon=True)

    def start(self) -> None:
        """Begin to look for work."""
        self._thread.start()

    def poke(self, job_id: uuid.UUID | None = None) -> None:
        """From any thread: there is work."""
        self._call(self._runner.poke, job_id)
        self._call(self._courier.poke)

    def drain(self) -> None:
        """From the main thread at its end: take nothing new, let jobs end or give them back."""
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it is what we do already
        self._call(self._stopping.set)
        self._thread.join(settings.job_drain_s + 2 * LEAVE_S + 2 * SETTLE_S)

    def _call(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:  # the loop has ended: whoever holds the row's lease next does it
            logger.debug("The worker has ended.")

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # noqa: BLE001 - the process ends by it
            logger.error("The worker's loop broke: %s", described(error))
        finally:
            self._loop.close()
            if not self._stopping.is_set():
                os.kill(os.getpid(), signal.SIGTERM)  # django-q2 begins a fresh process

    async def _serve(self) -> None:
        async with ThreadSensitiveContext():  # database work goes to the pool of threads, as under a server
            watch = asyncio.create_task(self._watch_parent())
            await _make_providers()
            await asyncio.gather(
                self._keep("jobs", self._runner.run), self._keep("callbacks", self._courier.run), return_exceptions=True
            )
            watch.cancel()
            await _settle_the_rest()
            await registry.aclose()

    async def _keep(self, what: str, run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            try:
                await run(self._stopping)
            except Exception as error:  # noqa: BLE001 - a worker outlives its defects
                logger.error("The loop for %s broke and begins again: %s", what, described(error))
                await asyncio.sleep(settings.job_poll_s)

    async def _watch_parent(self) -> None:
        """A worker whose cluster was killed would wait for tasks for ever; it stops as if it were told to."""
        while os.getppid() == self._parent:
            with suppress(TimeoutError):
                async with asyncio.timeout(PARENT_CHECK_S):
                    await self._stopping.wait()
                    return
        logger.warning("The cluster of this worker is gone; it stops.")
        os.kill(os.getpid(), signal.SIGTERM)


async def _make_providers() -> None:
    """Load now, in a thread, what the first job would load on the loop that all share, for a second or more."""
    try:
        await in_pool(registry.providers)
    except Exception as error:  # noqa: BLE001 - the jobs that call a model tell of it, others need none
        logger.warning("The worker can't make the configured providers: %s", described(error))


async def _settle_the_rest() -> None:
    """Calls outlive a job that left them, to learn their usage; those that can't wait for it settle when cancelled."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    if rest:
        _, rest = await asyncio.wait(rest, timeout=SETTLE_S)
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=SETTLE_S)


def begin(**_: Any) -> None:
    """Receiver of django-q2's ``post_spawn``: give this process its loop, if it is a cluster's worker."""
    global _worker
    if _worker is not None or not _is_cluster_worker():
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # leaves in good order, so jobs are given back
    _worker = Worker()
    _before_threads_end(_worker.drain)
    _worker.start()


def _before_threads_end(call: Callable[[], None]) -> None:
    """Call it at the end of the process, before the executors close that it needs for the database.

    Python's own executors are closed by this private hook, in the opposite order of registration. ``atexit`` and, since
    Python 3.13, the finalizers of ``multiprocessing`` come after it.
    """
    threading._register_atexit(call)  # type: ignore[attr-defined]  # not in the stubs


def poke(job_id: uuid.UUID | None = None) -> None:
    """Wake this process's loop, if it has one."""
    if _worker is not None:
        _worker.poke(job_id)


def _is_cluster_worker() -> bool:
    """Not so in a process that runs a task in place (``sync``), which sends the same signal."""
    from django_q.worker import worker

    # django-q2 has no sign of its own for it; this is what multiprocessing was told to run here.
    return getattr(current_process(), "_target", None) is worker
