"""A database that is away for a while: said once, asked again with growing pauses."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError

from django_wp_ai.bridge import in_thread
from django_wp_ai.jobs.defects import described

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("django_wp_ai.jobs")

#: What a database raises that stops, restarts or can't be reached; a statement it refuses raises something else.
UNAVAILABLE = (OperationalError, InterfaceError)

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 10.0


class Outage:
    """What one loop knows of its trouble: a worker is not to fill the log, nor to besiege a database that comes up."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._failures = 0

    def failed(self, error: Exception) -> float:
        """Note a failure; how many seconds to wait before the next try."""
        self._failures += 1
        if self._failures == 1:
            # A driver's message names hosts and users: of what is known to happen the type says enough.
            why = type(error).__name__ if isinstance(error, UNAVAILABLE) else described(error)
            logger.warning("The worker can't %s and tries again: %s", self._doing, why)
        longest_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(self._failures, 10))
        return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - spreads tries, guards nothing

    def worked(self) -> None:
        """Note a success."""
        if self._failures:
            logger.warning("The worker can %s again, after %d tries.", self._doing, self._failures)
            self._failures = 0


async def outlast(doing: str, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking database work that must not be given up, however long the database is away.

    What it is for has been paid: it ends with the job's lease or deadline, which cancel whoever waits here.
    """
    outage, bound = Outage(doing), partial(call, *args, **kwargs)
    while True:
        try:
            result = await in_thread(bound)
        except UNAVAILABLE as error:
            await asyncio.sleep(outage.failed(error))
        else:
            outage.worked()
            return result
