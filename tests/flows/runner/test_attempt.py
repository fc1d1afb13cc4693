"""What an attempt raises, and how the job ends or goes on."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from django_wp_ai import exceptions
from django_wp_ai.jobs import attempt, claims, payload, registry
from django_wp_ai.jobs.interrupts import LeaseLost
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.models import Job
from tests.factories import TenantFactory
from tests.flows.runner.running import Nothing, Number, in_database, queued, row

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_kinds", dict(registry._kinds))


async def after(outcome: Any, **fields: Any) -> Job:
    """A job whose one attempt raised or returned this."""

    @job_kind("odd", input=Nothing, output=Number)
    async def odd(_context: Any, _given: Nothing) -> Any:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    job = await in_database(lambda: queued(TenantFactory.create(), "odd", **fields))
    [claim] = await in_database(lambda: claims.claim(worker="test", at_most=1))
    ending = await attempt.run(claim)
    await in_database(ending.write)
    return await row(job)


async def test_a_result_is_kept() -> None:
    job = await after(Number(number=3))
    assert (job.status, payload.unseal(job.result_sealed)) == ("succeeded", {"number": 3})


FOR_GOOD = [
    exceptions.Invalid("Too long."),
    exceptions.Forbidden(),
    exceptions.ModelNotAllowed(),
    exceptions.ContentBlocked(),
    exceptions.NotFound(),
    exceptions.BudgetExceeded(),
    exceptions.Conflict(),
    exceptions.ProviderRefused(),
]


@pytest.mark.parametrize("error", FOR_GOOD, ids=lambda error: type(error).__name__)
async def test_what_another_attempt_would_not_change_ends_the_job(error: exceptions.WpAiError) -> None:
    job = await after(error)
    assert (job.status, job.error_code, job.error_message) == ("failed", error.code, error.detail or error.title)


COUNTED = [
    exceptions.ProviderUnavailable(),
    exceptions.ProviderTimeout(),
    exceptions.ProviderError(),
    TimeoutError(),
    ValueError("x"),
    SystemExit(1),
]


@pytest.mark.parametrize("error", COUNTED, ids=lambda error: type(error).__name__)
async def test_what_may_go_better_is_tried_again_and_counts(error: BaseException) -> None:
    job = await after(error)
    assert (job.status, job.attempts) == ("queued", 1)


@pytest.mark.parametrize("error", COUNTED, ids=lambda error: type(error).__name__)
async def test_the_last_attempt_ends_the_job(error: BaseException) -> None:
    job = await after(error, max_attempts=1)
    assert (job.status, job.error_code) == (
        "failed",
        error.code if isinstance(error, exceptions.WpAiError) else "internal",
    )


UNCOUNTED = [
    exceptions.RateLimited(retry_after_s=100),
    exceptions.BudgetExceeded(retry_after_s=100),
    exceptions.Conflict(retry_after_s=100),
]


@pytest.mark.parametrize("error", UNCOUNTED, ids=lambda error: type(error).__name__)
async def test_a_limit_is_waited_for_and_does_not_count(error: exceptions.WpAiError) -> None:
    job = await after(error, max_attempts=1)
    assert (job.status, job.attempts) == ("queued", 0)
    assert not await in_database(Job.objects.filter(pk=job.pk, run_after__lte=Now()).exists)


async def test_a_vendors_wish_to_wait_is_heeded(settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOB_RETRY_BASE_S": 0.001}
    job = await after(exceptions.ProviderUnavailable(retry_after_s=100))
    assert (job.status, job.attempts) == ("queued", 1)
    assert not await in_database(Job.objects.filter(pk=job.pk, run_after__lte=Now()).exists)


async def test_a_database_that_is_away_does_not_count() -> None:
    job = await after(OperationalError("server closed the connection"), max_attempts=1)
    assert (job.status, job.attempts) == ("queued", 0)


async def test_a_defect_is_logged_by_its_place_and_never_with_what_it_says(caplog: pytest.LogCaptureFixture) -> None:
    job = await after(ValueError("the prompt was hunter2"), max_attempts=1)
    assert (job.error_code, job.error_message) == ("internal", "Something went wrong.")
    assert "ValueError" in caplog.text
    assert "test_attempt.py" in caplog.text
    assert "hunter2" not in caplog.text


async def test_a_result_of_another_type_is_a_defect() -> None:
    assert (await after({"number": 3}, max_attempts=1)).error_code == "internal"


async def test_a_lost_lease_writes_nothing() -> None:
    job = await after(LeaseLost())
    assert (job.status, job.timeline) == ("running", [])


async def test_a_kind_that_this_worker_does_not_know_waits_for_one_that_does() -> None:
    job = await in_database(lambda: queued(TenantFactory.create(), "from_the_future", max_attempts=1))
    [claim] = await in_database(lambda: claims.claim(worker="test", at_most=1))
    await in_database((await attempt.run(claim)).write)
    found = await row(job)
    assert (found.status, found.attempts) == ("queued", 0)


async def test_an_input_that_no_longer_fits_ends_the_job() -> None:
    @job_kind("strict", input=Number, output=Number)
    async def strict(_context: Any, given: Number) -> Number:
        return given

    job = await in_database(
        lambda: queued(TenantFactory.create(), "strict", input_sealed=payload.seal({"number": "many"}))
    )
    [claim] = await in_database(lambda: claims.claim(worker="test", at_most=1))
    await in_database((await attempt.run(claim)).write)
    found = await row(job)
    assert (found.status, found.error_code) == ("failed", "invalid")


async def test_an_input_that_no_key_of_this_worker_opens_waits_for_one_that_has_it() -> None:
    job = await in_database(lambda: queued(TenantFactory.create(), "odd"))
    await in_database(lambda: Job.objects.filter(pk=job.pk).update(input_sealed=b"sealed with another key"))

    @job_kind("odd", input=Nothing, output=Number)
    async def odd(_context: Any, _given: Nothing) -> Number:
        return Number(number=1)

    [claim] = await in_database(lambda: claims.claim(worker="test", at_most=1))
    await in_database((await attempt.run(claim)).write)
    later = await row(job)
    assert (later.status, later.attempts, later.timeline[-1]["error"]) == ("queued", 0, "unreadable")
