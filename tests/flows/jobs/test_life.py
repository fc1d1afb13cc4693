"""A job's way from its creation to its end."""

from __future__ import annotations

import uuid

import pytest

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Conflict, Invalid, NotFound
from django_wp_ai.jobs import batches, claims, create, ending, reading, steps
from django_wp_ai.jobs.interrupts import LeaseLost
from django_wp_ai.models import Callback, Job
from tests.flows.jobs.conftest import claimed, fresh, new, queued, site


def test_a_job_is_created_claimed_and_ended_with_its_result(principal: Principal) -> None:
    job = queued(principal, "hi", metadata={"post": 7}, callback_url="https://example.org/done")
    assert reading.describe(job)["status"] == "queued"
    [claim] = claims.claim(worker="w", at_most=5)
    assert claim.job.pk == job.pk
    assert claims.claim(worker="other", at_most=5) == []
    assert ending.succeed(claim, {"text": "hi"})
    told = reading.describe(reading.find(principal.tenant, job.pk))
    assert (told["status"], told["progress"], told["result"]) == ("succeeded", 100, {"text": "hi"})
    assert (told["attempts"], told["metadata"], told["error"]) == (1, {"post": 7}, None)
    assert told["usage"] == {"input_tokens": 0, "output_tokens": 0, "cost_usd": "0", "estimated": False}
    [callback] = Callback.objects.all()
    assert (callback.job_id, callback.type) == (job.pk, "job.succeeded")
    assert not ending.succeed(claim, {"text": "again"})


def test_a_failed_job_is_tried_again_until_its_attempts_are_used_up(principal: Principal) -> None:
    claim = claimed(principal)
    for attempt in (1, 2, 3):
        assert claim.job.attempts == attempt
        assert ending.retry_later(claim, code="provider_error", message="It failed.")
        Job.objects.filter(status="queued").update(run_after=claim.job.created_at)
        [claim] = claims.claim(worker="w", at_most=1) or [claim]
    job = fresh(claim)
    assert (job.status, job.error_code, job.error_message) == ("failed", "provider_error", "It failed.")
    assert [entry["outcome"] for entry in job.timeline] == ["retried", "retried", "failed"]


def test_a_queued_job_is_cancelled_at_once_and_a_running_one_is_told(principal: Principal) -> None:
    waiting = queued(principal)
    assert ending.request_cancel(principal.tenant, waiting.pk).status == "cancelled"
    claim = claimed(principal)
    assert ending.request_cancel(principal.tenant, claim.job.pk).status == "running"
    assert claims.renew({claim.job.pk: claim.fence}).cancelled == {claim.job.pk}
    assert ending.end_cancelled(claim)
    with pytest.raises(Conflict):
        ending.request_cancel(principal.tenant, claim.job.pk)
    assert ending.retry_ended(principal.tenant, claim.job.pk).status == "queued"


def test_a_batch_waits_for_its_children_and_goes_on_once(principal: Principal) -> None:
    parent = claimed(principal)
    assert batches.create_children(parent, [new("a"), new("b")]) == 2
    assert batches.create_children(parent, [new("a"), new("b")]) == 0
    assert ending.wait_for_children(parent)
    children = claims.claim(worker="w", at_most=9)
    assert len(children) == 2
    assert ending.succeed(children[0], {"text": "a"})
    assert (fresh(parent).waiting_for, fresh(parent).progress) == (1, 49)
    assert ending.fail(children[1], code="invalid", message="No.")
    [again] = claims.claim(worker="w", at_most=9)
    assert again.job.pk == parent.job.pk
    assert again.job.attempts == 1
    ended = batches.ended_children(again)
    assert ended is not None
    assert {child.status for child in ended} == {"succeeded", "failed"}


def test_a_step_that_is_done_is_not_sent_again(principal: Principal) -> None:
    claim = claimed(principal)
    assert steps.begin(claim, "ask").sends == 1
    assert steps.done(claim, "ask", {"n": 1})
    assert steps.begin(claim, "ask").result == {"n": 1}
    assert steps.begin(claim, "cut off").sends == 1
    assert steps.begin(claim, "cut off").sends == 2
    assert fresh(claim).repeated_calls == 1
    ending.give_back(claim)
    with pytest.raises(LeaseLost):
        steps.begin(claim, "ask")


def test_a_lost_job_is_queued_again_by_the_sweep(principal: Principal) -> None:
    claim = claimed(principal)
    Job.objects.update(lease_until=claim.job.created_at)
    assert claims.sweep() == 1
    job = fresh(claim)
    assert (job.status, job.attempts) == ("queued", 1)
    assert claims.renew({job.pk: claim.fence}).lost == {job.pk}


def test_a_key_names_one_job(principal: Principal) -> None:
    first = create.create(principal, new("a", idempotency_key="k"))
    again = create.create(principal, new("a", idempotency_key="k"))
    assert (first.is_new, again.is_new, again.job.pk) == (True, False, first.job.pk)
    with pytest.raises(Invalid):
        create.create(principal, new("b", idempotency_key="k"))


def test_jobs_are_listed_page_by_page(principal: Principal) -> None:
    ids = [queued(principal, str(number)).pk for number in range(5)]
    queued(site(), "another site's")
    first = reading.page(principal.tenant, limit=3)
    rest = reading.page(principal.tenant, limit=3, cursor=first.next_cursor)
    assert sorted(job.pk for job in (*first.jobs, *rest.jobs)) == sorted(ids)
    assert rest.next_cursor == ""
    with pytest.raises(NotFound):
        reading.find(principal.tenant, uuid.uuid4())


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_result_with_a_number_that_json_has_not_fails_the_job(principal: Principal, number: float) -> None:
    claim = claimed(principal)
    assert ending.succeed(claim, {"scores": [number]})
    assert (fresh(claim).status, fresh(claim).error_code) == ("failed", "invalid_result")
