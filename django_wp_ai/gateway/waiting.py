"""Waiting for money that is held, not spent: calls under way may cost less than was reserved for them.

Without this, a burst of calls near the end of a budget would be refused although most of what is reserved comes back a
moment later. Waiting calls of a tenant stand in line in each process, and only the first in line asks the database.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary, WeakValueDictionary

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import BudgetExceeded
from django_wp_ai.models import Tenant

ASK_AGAIN_S = 0.1

T = TypeVar("T")

_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakValueDictionary[int, asyncio.Lock]] = WeakKeyDictionary()


async def covered(tenant: Tenant, open_call: Callable[[], Awaitable[T]]) -> T:
    """What ``open_call`` gives, once the budget covers it; raises its BudgetExceeded when that takes too long.

    Only a refusal with a ``retry_after_s`` is waited for, ``BUDGET_WAIT_S`` at most.
    """
    try:
        return await open_call()
    except BudgetExceeded as error:
        refused = error
    deadline_s = time.monotonic() + settings.budget_wait_s
    line = _line(tenant)
    if refused.retry_after_s is None or not settings.budget_wait_s or not await _is_first(line, deadline_s):
        raise refused
    try:
        while True:
            try:
                return await open_call()
            except BudgetExceeded as error:
                if error.retry_after_s is None or time.monotonic() >= deadline_s:
                    raise
            await asyncio.sleep(ASK_AGAIN_S * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
    finally:
        line.release()


def _line(tenant: Tenant) -> asyncio.Lock:
    lines = _lines.setdefault(asyncio.get_running_loop(), WeakValueDictionary())
    return lines.setdefault(tenant.pk, asyncio.Lock())


async def _is_first(line: asyncio.Lock, deadline_s: float) -> bool:
    try:
        async with asyncio.timeout(deadline_s - time.monotonic()):
            await line.acquire()
    except TimeoutError:
        return False
    return True
