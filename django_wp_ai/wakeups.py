"""Wake-ups: messages through django-q2's broker that tell a worker of what it would else find a little later.

A job's payload is its id, and nothing depends on its arrival. So it is never waited for and never repeated, and a
thousand jobs created in a moment make a handful of them.
"""

from __future__ import annotations

import logging
import math
import os
import threading
import time
import uuid
from functools import cache
from typing import Any

from django.db import close_old_connections

from django_wp_ai import cluster

logger = logging.getLogger("django_wp_ai.jobs")

WORK = "django_wp_ai.tasks.work"
EVENTS = "django_wp_ai.tasks.process_inbound"
INTERVAL_S = 0.05


class Wakeups:
    """Asks for one task, with at most one message each ``INTERVAL_S``.

    The database's own broker is written to in place: it is the database that has just committed the job. Another
    broker may hang, so a thread of its own sends to it.
    """

    def __init__(self, task: str = WORK) -> None:
        self._task = task
        self._lock = threading.Lock()
        self._latest: tuple[str, ...] | None = None
        self._asked = threading.Event()
        self._sender: threading.Thread | None = None
        self._sent_at = -math.inf
        self._is_down = False

    def ask(self, *arguments: str) -> None:
        """Tell a worker soon; returns at once and raises nothing."""
        if cluster.broker() == "orm":
            if self._is_time():
                self._send(arguments)
            return
        with self._lock:
            self._latest = arguments
            if self._sender is None or not self._sender.is_alive():
                self._sender = threading.Thread(target=self._send_all, name="django-wp-ai-wakeups", daemon=True)
                self._sender.start()
        self._asked.set()

    def _is_time(self) -> bool:
        """A job that comes sooner is found with the one before it, or a moment later: after news workers look again."""
        with self._lock:
            now = time.monotonic()
            if now - self._sent_at < INTERVAL_S:
                return False
            self._sent_at = now
            return True

    def _send_all(self) -> None:
        while True:
            self._asked.wait()
            self._asked.clear()
            with self._lock:
                arguments, self._latest = self._latest, None
            if arguments is not None:
                self._send(arguments)
                close_old_connections()
            time.sleep(INTERVAL_S)

    def _send(self, arguments: tuple[str, ...]) -> None:
        from django_q.tasks import async_task

        try:
            broker = _in_place() if cluster.broker() == "orm" else None  # None: django-q2 takes the host's
            async_task(self._task, *arguments, save=False, cached=False, ack_failure=True, broker=broker)
        except Exception as error:  # noqa: BLE001 - of whichever broker; the job is found all the same
            if not self._is_down:
                logger.warning("Workers can't be woken (%s); they find what waits themselves.", type(error).__name__)
            self._is_down = True
        else:
            self._is_down = False


@cache
def _in_place() -> Any:
    """Django-q2's own broker without its close of the thread's connections: they have just been in use."""
    from django_q.brokers.orm import ORM
    from django_q.conf import Conf
    from django_q.models import OrmQ

    class InPlace(ORM):  # type: ignore[misc]  # django-q2 has no annotations
        @staticmethod
        def get_connection(list_key: str | None = None) -> Any:  # noqa: ARG004 - django-q2's signature
            return OrmQ.objects.using(Conf.ORM)

    return InPlace(list_key=Conf.CLUSTER_NAME)


_wakeups, _events = Wakeups(), Wakeups(EVENTS)


def ask(*, job_id: uuid.UUID, **_: Any) -> None:
    """Receiver of ``jobs_waiting``."""
    _wakeups.ask(str(job_id))


def ask_for_events(**_: Any) -> None:
    """Receiver of ``events_waiting``; the schedule finds what no message told of."""
    _events.ask()


def _begin_anew() -> None:
    global _wakeups, _events
    _wakeups, _events = Wakeups(), Wakeups(EVENTS)


if hasattr(os, "register_at_fork"):  # a forked process has no sender, and may have inherited a lock that is taken
    os.register_at_fork(after_in_child=_begin_anew)
