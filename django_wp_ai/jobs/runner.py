"""Many jobs at once on one event loop: claimed while there is room, renewed together, ended or given back.

Every worker process has one. Whatever it misses (a wake-up, its own death) costs time, never a job: the row is the
truth, and each write names the fencing token of its claim.
"""

from __future__ import annotations

import asyncio
import logging
import random
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from django_wp_ai.bridge import in_pool
from django_wp_ai.conf import settings
from django_wp_ai.jobs import attempt, claims, ending
from django_wp_ai.jobs.attempt import Ending
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.jobs.outage import UNAVAILABLE, Outage

logger = logging.getLogger("django_wp_ai.jobs")

SOON_S = 0.05  # after news of work there is often more; each look that finds nothing doubles the pause, to JOB_POLL_S
LEAVE_S = 5.0  # for jobs that were told to stop


class Verdict(Enum):
    """Why an attempt was interrupted."""

    NONE = "none"
    LOST = "lost"  # somebody else may hold the job: nothing may be written any more
    CANCELLED = "cancelled"
    STOPPED = "stopped"  # this worker ends


@dataclass(eq=False, slots=True)
class Held:
    """One claimed job: its attempt, and the task that sees it to its end."""

    claim: Claim
    attempt: asyncio.Task[Ending]
    work: asyncio.Task[None] = field(init=False)
    verdict: Verdict = Verdict.NONE


class Runner:
    """Runs up to ``JOBS_CONCURRENCY`` jobs as the worker of this name. Lives on one event loop."""

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._held: dict[uuid.UUID, Held] = {}
        self._news = asyncio.Event()
        self._renew_now = asyncio.Event()

    def poke(self, job_id: uuid.UUID | None = None) -> None:
        """There may be work; or something is to be known of a job that runs here. Call it on the loop."""
        if job_id in self._held:
            self._renew_now.set()
        self._news.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Work until ``stopping``; then let jobs end for ``JOB_DRAIN_S`` and give the others back."""
        stopped = asyncio.create_task(stopping.wait())
        stopped.add_done_callback(lambda _: self._news.set())
        beside = [stopped, asyncio.create_task(self._renew()), asyncio.create_task(self._sweep())]
        try:
            await self._claim(stopping)
            await self._drain()
        finally:
            for task in (*beside, *(task for held in self._held.values() for task in (held.attempt, held.work))):
                task.cancel()

    async def _claim(self, stopping: asyncio.Event) -> None:
        """Take jobs while there is room: at once after news, rarely while there is nothing."""
        outage, pause_s = Outage("look for jobs"), 0.0
        while not stopping.is_set():
            if await _happened(self._news, pause_s):
                pause_s = 0.0
                await self._gather()
            room = settings.jobs_concurrency - len(self._held)
            if room <= 0 or stopping.is_set():
                pause_s = settings.job_poll_s
                continue
            try:
                claimed = await in_pool(claims.claim, worker=self._worker, at_most=room)
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever a database says
                pause_s = outage.failed(error)
                continue
            outage.worked()
            for claim in claimed:
                self._begin(claim)
            pause_s = SOON_S if claimed else min(max(2 * pause_s, SOON_S), settings.job_poll_s)

    async def _gather(self) -> None:
        """Wait for more news, the longer the busier: jobs that end together make room for one claim, not for many."""
        busy = len(self._held) / max(1, settings.jobs_concurrency)
        if busy:
            await asyncio.sleep(SOON_S * min(1.0, busy))
            self._news.clear()

    def _begin(self, claim: Claim) -> None:
        held = Held(claim, asyncio.create_task(attempt.run(claim)))
        self._held[claim.job.pk] = held
        held.work = asyncio.create_task(self._see_through(held))

    async def _see_through(self, held: Held) -> None:
        try:
            await asyncio.wait({held.attempt})
            if (outcome := _outcome(held)) is not None:
                await self._write(held, outcome)
        finally:
            if self._held.get(held.claim.job.pk) is held:
                del self._held[held.claim.job.pk]
            self._news.set()

    async def _write(self, held: Held, outcome: Ending) -> None:
        """Write the ending; a database that is away is waited for as long as the job is ours."""
        outage = Outage("write how a job ended")
        while held.verdict is not Verdict.LOST:
            try:
                await in_pool(outcome.write)
            except UNAVAILABLE as error:
                await asyncio.sleep(outage.failed(error))
            except Exception as error:  # noqa: BLE001 - logged there, by its place
                if outcome.is_last_resort:
                    logger.error("How job %s ended can't be written (%s).", held.claim.job.pk, type(error).__name__)
                    return  # its lease will end
                outcome = attempt.broken(held.claim, error)
            else:
                return

    async def _renew(self) -> None:
        """Keep the leases of all held jobs in one statement, and hear which were lost or cancelled."""
        outage, pause_s = Outage("renew its leases"), settings.job_lease_s / 3
        while True:
            await _happened(self._renew_now, pause_s)
            pause_s = settings.job_lease_s / 3
            fences = {job_id: held.claim.fence for job_id, held in self._held.items()}
            if not fences:
                continue
            try:
                renewed = await in_pool(claims.renew, fences)
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever a database says
                pause_s = min(outage.failed(error), settings.job_lease_s / 10)
                continue
            outage.worked()
            self._interrupt(renewed.lost, fences, Verdict.LOST)
            self._interrupt(renewed.cancelled, fences, Verdict.CANCELLED)

    def _interrupt(self, job_ids: Iterable[uuid.UUID], fences: dict[uuid.UUID, int], verdict: Verdict) -> None:
        for job_id in job_ids:
            held = self._held.get(job_id)
            if held is not None and held.claim.fence == fences[job_id]:  # it may have ended and come back meanwhile
                held.verdict = verdict
                held.attempt.cancel()

    async def _sweep(self) -> None:
        """Take back what dead workers held: this process is awake anyway, a schedule runs only once a minute."""
        outage = Outage("look for lost jobs")
        while True:
            await asyncio.sleep(settings.job_lease_s * random.uniform(0.4, 0.6))  # noqa: S311 - not all at once
            try:
                swept = await in_pool(claims.sweep)
            except Exception as error:  # noqa: BLE001 - a worker outlives whatever a database says
                await asyncio.sleep(outage.failed(error))
                continue
            outage.worked()
            if swept:
                self._news.set()

    async def _drain(self) -> None:
        if self._held:
            logger.info("%d jobs have %s s to end.", len(self._held), settings.job_drain_s)
        await self._ended(settings.job_drain_s)
        for held in self._held.values():
            held.verdict = held.verdict if held.verdict is not Verdict.NONE else Verdict.STOPPED
            held.attempt.cancel()
        await self._ended(LEAVE_S)
        if self._held:
            logger.warning("%d jobs did not stop; others take them when their lease has run out.", len(self._held))

    async def _ended(self, within_s: float) -> None:
        if works := [held.work for held in self._held.values()]:
            await asyncio.wait(works, timeout=within_s)


def _outcome(held: Held) -> Ending | None:
    """What is to be written of an attempt that is over, interrupted or not; None: nothing, it is no longer ours."""
    finished = None if held.attempt.cancelled() else held.attempt.result()
    if held.verdict is Verdict.LOST:
        return None
    if held.verdict is Verdict.CANCELLED:
        return Ending(partial(ending.end_cancelled, held.claim))
    if finished is None or (held.verdict is Verdict.STOPPED and not finished.is_success):
        return Ending(partial(claims.give_back, held.claim))
    return finished


async def _happened(event: asyncio.Event, within_s: float) -> bool:
    """Whether it was set within the time; it is clear afterwards."""
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    happened = event.is_set()
    event.clear()
    return happened
