"""One whole answer from whoever may give it, in a task that nobody's leaving stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Usage
from django_wp_ai.exceptions import ProviderError
from django_wp_ai.gateway import attempts, ledger
from django_wp_ai.gateway.routing import Target

logger = logging.getLogger("django_wp_ai.gateway")

T = TypeVar("T")

_unfinished: set[asyncio.Task[Any]] = set()


def keep(flow: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that nobody's cancellation reaches; held until it ends, as the loop itself holds tasks only weakly."""
    task = asyncio.get_running_loop().create_task(flow)
    _unfinished.add(task)
    task.add_done_callback(_unfinished.discard)
    return task


async def ask(call: ledger.Call, send: Callable[[Target], Awaitable[T]]) -> T:
    """What ``send`` gives for the first candidate that answers; when there is none, the call is settled here."""

    async def guarded(target: Target) -> T:
        try:
            return await send(target)
        except ProviderError:
            raise
        except Exception as error:  # what a provider must not raise is its failure too
            logger.exception("call %s broke", call.id)
            raise ProviderError(charged=True) from error

    try:
        async with attempts.answered(call, guarded) as answer:
            return answer
    except ProviderError as error:
        usage = call.admitted.largest() if error.charged else Usage()
        await in_thread(ledger.settle, call, usage, error=error)
        error.fields.update(ledger.limit_fields(call))
        raise
    except BaseException:
        await in_thread(ledger.settle, call, call.admitted.largest(), error_code="aborted")
        raise
