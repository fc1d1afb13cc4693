"""Asking: candidate after candidate, again where it may help, under one deadline, until the first byte is there."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Generic, TypeVar

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.exceptions import BudgetExceeded, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.routing import Target
from django_wp_ai.policy import breaker, concurrency

logger = logging.getLogger("django_wp_ai.gateway")

T = TypeVar("T")
Send = Callable[[Target], Awaitable[T]]


def require_way(targets: tuple[Target, ...]) -> None:
    """Blocking: raise ProviderUnavailable when no candidate's breaker lets a call pass, before anything is taken."""
    waits = [breaker.open_for_s(name) for name in {target.provider.name for target in targets}]
    if all(waits):
        raise _broken(min(waits))


@asynccontextmanager
async def answered(call: ledger.Call, send: Send[T]) -> AsyncGenerator[T, None]:
    """What ``send`` gives for the first candidate that answers; ``call.target`` is who it was.

    A refusal of the request itself is raised at once. After any other failure the next candidate is asked; once all
    were asked, those whose failure may pass are asked again after a random wait. What an attempt may have cost is
    settled on a row of its own before the next one is opened. The provider counts as busy until the block ends.
    """
    async with AsyncExitStack() as stack:
        answer = await _Attempts(call, send, stack).run()
        try:
            yield answer
        except ProviderError as cut:
            await _note(call.target.provider.name, cut, probe=False)
            raise


class _Attempts(Generic[T]):
    """The attempts of one call."""

    def __init__(self, call: ledger.Call, send: Send[T], stack: AsyncExitStack) -> None:
        self._call = call
        self._send = send
        self._stack = stack
        self._deadline_s: float = time.monotonic() + settings.call_deadline_s
        self._left = max(settings.max_attempts, len(call.admitted.targets))
        self._wait_s = settings.retry_base_s
        self._failure: ProviderError | None = None

    async def run(self) -> T:
        """The first answer; raises the last failure."""
        turn = list(self._call.admitted.targets)
        while True:
            failures: list[tuple[Target, ProviderError]] = []
            for target in turn:
                try:
                    await self._begin(target)
                    return await self._ask(target)
                except ProviderRefused:
                    raise
                except ProviderError as failure:
                    self._failure = failure
                    failures.append((target, failure))
                if not self._left:
                    raise self._failure
            turn = await self._rested(failures)

    async def _begin(self, target: Target) -> None:
        """Make ``target`` the one that is asked; an attempt that may be billed leaves its row and needs a new one."""
        self._left -= 1
        if self._failure is not None and self._failure.charged:
            try:
                await in_thread(ledger.reopen, self._call, target, after=self._failure)
            except BudgetExceeded:
                self._left = 0
                raise self._failure from None
        else:
            ledger.retarget(self._call, target)

    async def _ask(self, target: Target) -> T:
        provider = target.provider
        probe = await _pass_breaker(provider.name)
        try:
            return await self._ask_as_permitted(target, probe=probe)
        except BaseException:
            await self._stack.aclose()  # the provider is busy no more: the next attempt may be another one's
            raise

    async def _ask_as_permitted(self, target: Target, *, probe: bool) -> T:
        provider = target.provider
        permit = concurrency.permit(provider.name, provider.max_concurrency, deadline_s=self._deadline_s)
        try:
            await self._stack.enter_async_context(permit)
            async with asyncio.timeout(self._seconds_left()):
                answer = await self._send(target)
        except TimeoutError:
            await in_thread(breaker.failed, provider.name, probe=probe)
            raise ProviderTimeout(charged=True) from None
        except ProviderError as failure:
            await _note(provider.name, failure, probe=probe)
            raise
        except BaseException:
            if probe:
                await in_thread(breaker.abandoned, provider.name)
            raise
        if probe:
            await in_thread(breaker.succeeded, provider.name, probe=True)
        return answer

    async def _rested(self, failures: list[tuple[Target, ProviderError]]) -> list[Target]:
        """Who may be asked again, after a wait; raises the last failure when nobody is or the deadline comes first.

        Source: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), full jitter.
        """
        assert self._failure is not None
        again = [(target, failure.retry_after_s or 0.0) for target, failure in failures if failure.retryable]
        if not again:
            raise self._failure
        wait_s = max(random.uniform(0, self._wait_s), min(after_s for _, after_s in again))  # noqa: S311 - no secret
        self._wait_s = min(2 * self._wait_s, settings.retry_max_s)
        if wait_s >= self._seconds_left():
            raise self._failure
        await asyncio.sleep(wait_s)
        return [target for target, after_s in again if after_s <= wait_s]

    def _seconds_left(self) -> float:
        return float(max(0.0, self._deadline_s - time.monotonic()))


async def _pass_breaker(provider_name: str) -> bool:
    """Whether the call is the breaker's probe; raises ProviderUnavailable while it is open."""
    decision = breaker.glance(provider_name)
    if decision is None:
        decision = await in_thread(breaker.allow, provider_name)
    if not decision.allowed:
        raise _broken(decision.retry_after_s)
    return decision.probe


async def _note(provider_name: str, failure: ProviderError, *, probe: bool) -> None:
    """Tell the breaker: a refusal is an answer, a failure is none, our own bound says nothing of the provider."""
    if _is_providers(failure):
        await in_thread(breaker.failed, provider_name, probe=probe)
    elif isinstance(failure, ProviderRefused):
        await in_thread(breaker.succeeded, provider_name, probe=probe)
    elif probe:
        await in_thread(breaker.abandoned, provider_name)


def _is_providers(failure: ProviderError) -> bool:
    """Whether a failure shows that the provider is in trouble: silence and 5xx, not limits or a wrong key."""
    status = failure.provider_status
    if status is not None:
        return status >= 500 or status == 408
    return failure.charged or (failure.retryable and failure.retry_after_s is None)


def _broken(retry_after_s: float) -> ProviderUnavailable:
    return ProviderUnavailable(
        "The provider failed too often just now.", retryable=True, retry_after_s=max(retry_after_s, 0.1)
    )
