"""Many jobs on one loop: how many at once, and what becomes of those that are cancelled, lost, stopped or cut off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError
from django.db.models import F
from django.db.models.functions import Now

from django_wp_ai.jobs import claims, ending, registry
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.jobs.runner import Runner
from django_wp_ai.models import Job, Tenant
from tests.factories import TenantFactory
from tests.flows.runner.running import Gate, Nothing, Number, ended, in_database, queued, row, running, until, until_row


@pytest.fixture(autouse=True)
def own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))


@pytest.fixture
def gate(own_kinds: None) -> Gate:
    return Gate()


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


@pytest.fixture
def use(settings: Any) -> Callable[..., None]:
    def use(**options: Any) -> None:
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}

    use(JOB_POLL_S=0.05, JOB_DRAIN_S=30)
    return use


pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("use")]


async def test_a_worker_runs_as_many_jobs_as_it_may_and_no_more(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOBS_CONCURRENCY=5)
    jobs = await in_database(lambda: [queued(tenant) for _ in range(12)])
    async with running():
        await until(lambda: gate.inside == 5)
        gate.open()
        for job in jobs:
            await until_row(job, ended)
    assert gate.most == 5
    assert gate.entered == 12
    assert {(await row(job)).status for job in jobs} == {"succeeded"}


async def test_no_more_inputs_are_claimed_than_there_is_room_for(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOBS_CONCURRENCY=3)
    await in_database(lambda: [queued(tenant) for _ in range(10)])
    async with running():
        await until(lambda: gate.inside == 3)
        assert await in_database(Job.objects.filter(status="running").count) == 3
        gate.open()


async def test_a_wake_up_starts_a_job_that_no_poll_would_have_found(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOB_POLL_S=3600)
    async with running() as runner:
        await asyncio.sleep(0)
        first = await in_database(lambda: queued(tenant))
        runner.poke(first.pk)
        gate.open()
        await until_row(first, ended)


async def test_a_cancelled_job_stops_at_the_next_renewal(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOB_LEASE_S=1)
    job = await in_database(lambda: queued(tenant))
    async with running():
        await until(lambda: gate.inside == 1)
        await in_database(lambda: ending.request_cancel(tenant, job.pk))
        found = await until_row(job, ended)
    assert (found.status, gate.cancelled) == ("cancelled", 1)


async def test_a_poke_with_a_running_jobs_id_tells_it_of_its_cancelling_at_once(
    gate: Gate, tenant: Tenant, use: Any
) -> None:
    use(JOB_LEASE_S=3600)
    job = await in_database(lambda: queued(tenant))
    async with running() as runner:
        await until(lambda: gate.inside == 1)
        await in_database(lambda: ending.request_cancel(tenant, job.pk))
        runner.poke(job.pk)
        found = await until_row(job, ended)
    assert found.status == "cancelled"


async def test_of_a_lost_job_nothing_is_written(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOB_LEASE_S=3600)
    job = await in_database(lambda: queued(tenant))
    async with running() as runner:
        await until(lambda: gate.inside == 1)
        taken = {"fence": F("fence") + 1, "worker": "another"}
        await in_database(lambda: Job.objects.filter(pk=job.pk).update(**taken))
        runner.poke(job.pk)
        await until(lambda: gate.cancelled == 1)
    found = await row(job)
    assert (found.status, found.worker, found.timeline) == ("running", "another", [])


async def test_a_lease_is_kept_for_as_long_as_the_job_runs(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOB_LEASE_S=3)
    job = await in_database(lambda: queued(tenant))
    async with running():
        await until(lambda: gate.inside == 1)
        first = (await row(job)).lease_until
        await until_row(job, lambda found: found.lease_until > first)
        assert await in_database(claims.sweep) == 0
        gate.open()
        assert (await until_row(job, ended)).attempts == 1


async def test_what_a_dead_worker_held_is_found_by_a_living_one(gate: Gate, tenant: Tenant, use: Any) -> None:
    use(JOB_LEASE_S=2)
    job = await in_database(lambda: queued(tenant))
    [dead] = await in_database(lambda: claims.claim(worker="dead", at_most=1))
    await in_database(lambda: Job.objects.update(lease_until=Now()))
    async with running():
        gate.open()
        found = await until_row(job, ended)
    assert found.status == "succeeded"
    assert found.fence > dead.fence
    assert [entry["outcome"] for entry in found.timeline] == ["lost", "succeeded"]


async def test_a_worker_that_stops_lets_jobs_end_and_claims_no_more(gate: Gate, tenant: Tenant) -> None:
    first = await in_database(lambda: queued(tenant))
    runner, stopping = Runner("test"), asyncio.Event()
    task = asyncio.create_task(runner.run(stopping))
    await until(lambda: gate.inside == 1)
    stopping.set()
    second = await in_database(lambda: queued(tenant))
    runner.poke(second.pk)
    await asyncio.sleep(0)
    gate.open()
    await task
    assert (await row(first)).status == "succeeded"
    assert ((await row(second)).status, gate.entered) == ("queued", 1)


async def test_what_does_not_end_in_time_is_given_back_and_the_attempt_does_not_count(
    gate: Gate, tenant: Tenant, use: Any
) -> None:
    use(JOB_DRAIN_S=0)
    job = await in_database(lambda: queued(tenant))
    async with running():
        await until(lambda: gate.inside == 1)
    found = await row(job)
    assert (found.status, found.attempts, found.lease_until) == ("queued", 0, None)
    assert [entry["outcome"] for entry in found.timeline] == ["given_back"]


async def test_a_job_that_takes_too_long_is_tried_again_and_says_so(gate: Gate, tenant: Tenant) -> None:
    job = await in_database(lambda: queued(tenant, deadline_s=1, max_attempts=1))
    async with running():
        found = await until_row(job, ended)
    assert (found.status, found.error_code) == ("failed", "timeout")


async def test_a_kind_that_ends_the_process_ends_its_job_only(gate: Gate, tenant: Tenant) -> None:
    @job_kind("exit", input=Nothing, output=Number)
    async def leave(_context: Any, _given: Nothing) -> Number:
        raise SystemExit(3)

    bad, good = await in_database(lambda: (queued(tenant, "exit", max_attempts=1), queued(tenant)))
    gate.open()
    async with running():
        assert (await until_row(bad, ended)).error_code == "internal"
        assert (await until_row(good, ended)).status == "succeeded"


async def test_a_kind_that_does_not_stop_holds_up_the_end_for_a_bounded_time(
    tenant: Tenant, use: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, let_go = asyncio.Event(), asyncio.Event()

    @job_kind("stubborn", input=Nothing, output=Number)
    async def stubborn(_context: Any, _given: Nothing) -> Number:
        begun.set()
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                continue
        return Number()

    use(JOB_DRAIN_S=0)
    monkeypatch.setattr("django_wp_ai.jobs.runner.LEAVE_S", 0.01)
    job = await in_database(lambda: queued(tenant, "stubborn"))
    async with running():
        await begun.wait()
    assert (await row(job)).status == "running"  # nobody else may run it before its lease has run out
    let_go.set()


class Unreachable:
    """A blocking call that fails as a database does that is away, so many times."""

    def __init__(self, call: Callable[..., Any], times: int, error: Exception) -> None:
        self._call, self._left, self._error = call, times, error
        self.recovered = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._left:
            self._left -= 1
            raise self._error
        self.recovered = True
        return self._call(*args, **kwargs)


AWAY = OperationalError("terminating connection due to administrator command")


@pytest.mark.parametrize("statement", ["claim", "renew", "sweep"])
async def test_a_database_that_is_away_is_told_of_once_and_asked_again(
    gate: Gate,
    tenant: Tenant,
    use: Any,
    statement: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use(JOB_LEASE_S=3)
    monkeypatch.setattr("django_wp_ai.jobs.outage.FIRST_PAUSE_S", 0.001)
    broken = Unreachable(getattr(claims, statement), 3, AWAY)
    monkeypatch.setattr(claims, statement, broken)
    job = await in_database(lambda: queued(tenant))
    with caplog.at_level(logging.WARNING, "django_wp_ai.jobs"):
        async with running():
            await until(lambda: broken.recovered)
            gate.open()
            assert (await until_row(job, ended)).status == "succeeded"
            await until(lambda: len(caplog.records) > 1)  # the statement is back before that is told
    away, back = [record.getMessage() for record in caplog.records]
    assert away.endswith("and tries again: OperationalError")
    assert back.endswith("again, after 3 tries.")
    assert "administrator" not in caplog.text


async def test_an_ending_waits_for_a_database_that_is_away(
    gate: Gate, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django_wp_ai.jobs.outage.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(ending, "succeed", Unreachable(ending.succeed, 3, AWAY))
    job = await in_database(lambda: queued(tenant))
    gate.open()
    async with running():
        found = await until_row(job, ended)
    assert (found.status, found.attempts, gate.entered) == ("succeeded", 1, 1)


async def test_an_ending_that_can_not_be_written_is_a_failed_attempt(
    gate: Gate, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ending, "succeed", Unreachable(ending.succeed, 1, ValueError("the result says hunter2")))
    job = await in_database(lambda: queued(tenant, max_attempts=1))
    gate.open()
    async with running():
        found = await until_row(job, ended)
    assert (found.status, found.error_code) == ("failed", "internal")
    assert "hunter2" not in caplog.text
