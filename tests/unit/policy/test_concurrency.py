"""So many calls to a provider at once in a process, and a wait that ends."""

from __future__ import annotations

import asyncio
import time

import pytest

from django_wp_ai.exceptions import ProviderUnavailable
from django_wp_ai.policy import concurrency
from django_wp_ai.policy.concurrency import Bound


def in_an_hour() -> float:
    return time.monotonic() + 3600


async def test_no_more_than_the_limit_run_at_once_and_all_have_their_turn() -> None:
    bound, running, most, done = Bound(3), 0, 0, 0

    async def call() -> None:
        nonlocal running, most, done
        async with bound.permit(deadline_s=in_an_hour()):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            done += 1

    await asyncio.gather(*(call() for _ in range(50)))
    assert (most, done) == (3, 50)


async def test_who_waits_too_long_is_told_to_come_again_and_takes_no_place() -> None:
    bound = Bound(1)
    async with bound.permit(deadline_s=in_an_hour()):
        for deadline_s in (time.monotonic() + 0.01, time.monotonic() - 5):
            with pytest.raises(ProviderUnavailable, match="Too many calls") as caught:
                async with bound.permit(deadline_s=deadline_s):
                    raise AssertionError("there was no place")
            assert caught.value.retry_after_s == concurrency.RETRY_AFTER_S
            assert caught.value.retryable
            assert not caught.value.charged
    async with bound.permit(deadline_s=in_an_hour()):
        pass


async def test_a_free_place_needs_no_time() -> None:
    async with Bound(1).permit(deadline_s=time.monotonic() - 5):
        pass


async def test_a_call_that_fails_or_is_cancelled_gives_its_place_back() -> None:
    bound = Bound(1)
    with pytest.raises(ZeroDivisionError):
        async with bound.permit(deadline_s=in_an_hour()):
            raise ZeroDivisionError

    async def hold() -> None:
        async with bound.permit(deadline_s=in_an_hour()):
            await asyncio.Event().wait()

    holding, waiting = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    for task in (waiting, holding):
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with bound.permit(deadline_s=in_an_hour()):
        pass


async def test_a_timeout_of_the_block_is_not_taken_for_one_of_the_wait() -> None:
    with pytest.raises(TimeoutError):
        async with Bound(1).permit(deadline_s=in_an_hour()):
            raise TimeoutError


async def test_providers_do_not_share_places_and_a_provider_has_one_bound() -> None:
    async with concurrency.permit("one", 1, deadline_s=in_an_hour()):
        async with concurrency.permit("other", 1, deadline_s=in_an_hour()):
            pass
        with pytest.raises(ProviderUnavailable):
            async with concurrency.permit("one", 1, deadline_s=0):
                pass


def test_each_event_loop_has_places_of_its_own_and_closed_loops_are_forgotten() -> None:
    bound = Bound(1)

    async def compete() -> None:
        async def hold() -> None:
            async with bound.permit(deadline_s=in_an_hour()):
                await asyncio.sleep(0)

        await asyncio.gather(hold(), hold())

    for _ in range(3):
        asyncio.run(compete())
    assert len(bound._places) == 1


def test_a_bound_of_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="At least one"):
        Bound(0)
