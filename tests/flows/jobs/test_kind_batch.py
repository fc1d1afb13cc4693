"""The kind ``batch``: many jobs, one result."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from django.utils import timezone
from pydantic import BaseModel, Field

from django_wp_ai.exceptions import Invalid
from django_wp_ai.jobs import attempt, claims, payload
from django_wp_ai.jobs.cancelling import request_cancel
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.models import Job
from tests.flows.jobs.working import OFFLINE, Work, result_of


class PartIn(BaseModel):
    number: Annotated[int, Field(ge=0)]
    size: int = 0


class PartOut(BaseModel):
    number: int
    text: str


@pytest.fixture(autouse=True)
def _part() -> None:
    """A kind that fails for odd numbers."""

    @job_kind("part", input=PartIn, output=PartOut)
    async def part(context: JobContext, given: PartIn) -> PartOut:
        if given.number % 2:
            raise JobFailed("An odd number.", code="odd")
        return PartOut(number=given.number, text="x" * given.size)


def batch_of(*numbers: int, **fields: Any) -> dict[str, Any]:
    return {"kind": "part", "items": [{"number": number, **fields} for number in numbers]}


def test_results_stand_in_the_order_of_the_items_and_failures_beside_them(work: Work) -> None:
    job = work.queue("batch", {**batch_of(4, 1, 2), "metadata": {"run": "nightly"}})
    work.run_due()
    job.refresh_from_db()
    assert (job.status, job.progress) == ("succeeded", 100)
    found = result_of(job)
    assert (found["total"], found["succeeded"], found["failed"], found["cancelled"]) == (3, 2, 1, 0)
    children = {child.ordinal: child for child in Job.objects.filter(parent=job)}
    assert [each["id"] for each in found["results"]] == [str(children[ordinal].pk) for ordinal in range(3)]
    assert [each["status"] for each in found["results"]] == ["succeeded", "failed", "succeeded"]
    assert [each["result"] for each in found["results"]] == [
        {"number": 4, "text": ""},
        None,
        {"number": 2, "text": ""},
    ]
    assert found["results"][1]["error"] == {"code": "odd", "message": "An odd number."}
    assert children[1].metadata == {"run": "nightly", "ordinal": 1}
    assert found["results_left_out"] is False


def test_a_batch_of_which_all_failed_has_failed(work: Work) -> None:
    job = work.done("batch", batch_of(1, 3, 5))
    assert (job.status, job.error_code) == ("failed", "all_failed")
    assert job.error_message == "All 3 jobs have failed: odd (3)."


def test_the_cost_of_all_is_summed_up(work: Work) -> None:
    items = [{"prompt": f"Hi {number} [[usage=10,5]]"} for number in range(3)]
    found = work.result("batch", {"kind": "chat", "items": items})
    assert found["usage"] == {"input_tokens": 30, "output_tokens": 15, "cost_usd": "0.0000135", "estimated": False}
    assert [each["result"]["content"] for each in found["results"]] == [f"You said: Hi {number}" for number in range(3)]


def test_a_batch_holds_no_worker_while_it_waits_and_begins_its_jobs_once(work: Work) -> None:
    job = work.queue("batch", batch_of(2, 4))
    [claim] = claims.claim(worker="w", at_most=1)
    for _ in range(2):  # a second attempt after a crash finds what the first has begun
        ended = work.street.run(attempt.run(claim))
    assert ended.write()
    job.refresh_from_db()
    assert (job.status, job.lease_until, job.waiting_for) == ("running", None, 2)
    assert Job.objects.filter(parent=job).count() == 2


def test_a_thousand_jobs_make_one_result(work: Work) -> None:
    job = work.queue("batch", batch_of(*range(0, 2000, 2)))
    [claim] = claims.claim(worker="w", at_most=1)
    assert work.street.run(attempt.run(claim)).write()
    children = Job.objects.filter(parent=job)
    assert children.count() == 1000
    # All but the last end in one statement, as running them one by one would take most of a minute.
    sealed = payload.seal({"number": 0, "text": "done"})
    children.filter(ordinal__lt=999).update(status="succeeded", finished_at=timezone.now(), result_sealed=sealed)
    Job.objects.filter(pk=job.pk).update(waiting_for=1)
    work.run_due()
    found = result_of(Job.objects.get(pk=job.pk))
    assert (found["total"], found["succeeded"]) == (1000, 1000)
    assert [each["ordinal"] for each in found["results"]] == list(range(1000))
    assert found["results"][-1]["result"] == {"number": 1998, "text": ""}


def test_results_that_are_too_large_together_are_left_to_the_jobs(work: Work) -> None:
    job = work.done("batch", batch_of(*range(0, 20, 2), size=200_000))
    assert job.status == "succeeded"
    found = result_of(job)
    assert found["results_left_out"] is True
    assert {each["result"] for each in found["results"]} == {None}
    assert len(json.dumps(found)) < 10_000
    first = Job.objects.get(pk=found["results"][0]["id"])
    assert len(result_of(first)["text"]) == 200_000


def test_results_that_are_far_too_large_together_are_not_all_read(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Any] = []
    unseal = payload.unseal
    monkeypatch.setattr(payload, "unseal", lambda stored: read.append(unseal(stored)) or read[-1])
    job = work.done("batch", batch_of(0, 1, *range(2, 30, 2), size=200_000))
    found = result_of(job)
    assert found["results_left_out"] is True
    assert (found["total"], found["succeeded"], found["failed"]) == (16, 15, 1)
    assert [each["error"]["code"] for each in found["results"] if each["error"]] == ["odd"]
    assert len([each for each in read if "text" in each]) == 5


def test_cancelling_a_batch_cancels_what_has_not_ended(work: Work) -> None:
    job = work.queue("batch", batch_of(2, 4, 6))
    for at_most in (1, 1):  # the batch, then one of its jobs
        for claim in claims.claim(worker="w", at_most=at_most):
            assert work.street.run(attempt.run(claim)).write()
    request_cancel(work.tenant, job.pk)
    work.run_due()
    job.refresh_from_db()
    assert job.status == "cancelled"
    statuses = sorted(Job.objects.filter(parent=job).values_list("status", flat=True))
    assert statuses == ["cancelled", "cancelled", "succeeded"]


def test_summaries_of_a_batch_come_from_the_offline_provider_too(work: Work) -> None:
    items = [{"text": f"Shop {number} sells bread. It opens at {number}.", "model": OFFLINE} for number in (7, 8)]
    found = work.result("batch", {"kind": "summary", "items": items})
    assert ["7" in each["result"]["summary"] for each in found["results"]] == [True, False]


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        ({"kind": "batch", "items": [{}]}, "input", "no batches"),
        ({"kind": "none", "items": [{}]}, "input", "no such kind"),
        ({"kind": "part", "items": [{"number": 0}], "metadata": {"a": "x" * 16_384}}, "input", "metadata has less"),
        ({"kind": "part", "items": []}, "input.items", "at least 1"),
        ({"kind": "part", "items": [{"number": 0}] * 1001}, "input", "at most 1000"),
        ({"kind": "part", "items": [{"number": 0}, {"number": -1}]}, "input.items.1.number", "greater than or equal"),
        ({"kind": "part", "items": [{}]}, "input.items.0.number", "required"),
        (
            {"kind": "chat", "items": [{"prompt": "a"}, {"prompt": "b", "x{y}": 1}]},
            "input.items.1.x{y}",
            "not permitted",
        ),
        ({"kind": "part", "items": ["a"]}, "input.items.0", "object"),
        ({"kind": "part", "items": [{"number": 0}], "parallel": 3}, "input.parallel", "not permitted"),
    ],
)
def test_what_does_not_fit_is_refused_at_once_with_its_place(
    work: Work, given: dict[str, Any], field: str, message: str
) -> None:
    with pytest.raises(Invalid) as refused:
        work.queue("batch", given)
    errors = {error["field"]: error["message"] for error in refused.value.errors}
    assert message in errors[field]
    assert not Job.objects.exists()
