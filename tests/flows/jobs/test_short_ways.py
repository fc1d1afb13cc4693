"""The usual step and the usual ending go a short way on PostgreSQL, and leave what the long way leaves."""

from __future__ import annotations

import threading
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs import ending, steps, usage
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.models import Callback, Credential, Job, JobStep, Tenant, UsageEvent
from tests.flows.jobs.conftest import claimed, fresh, queued, site

SETTLED = {"state": "settled", "settled_at": timezone.now()}
PRICED = {**SETTLED, "cost_usd": Decimal("0.25"), "latency_ms": 700}
PENDING = {"state": "pending", "reserved_usd": Decimal(2)}
USED: dict[str, list[dict[str, Any]]] = {
    "nothing": [],
    "priced": [PRICED, PRICED],
    "from the cache": [PRICED, {**SETTLED, "cost_usd": Decimal(0), "cached": True, "latency_ms": 3}],
    "estimated": [PRICED, {**PRICED, "estimated": True}],
    "of unknown price": [PRICED, SETTLED],
    "under way": [PRICED, PENDING],
    "under way at an unknown price": [{"state": "pending"}],
}


def use(job: Job, **fields: Any) -> None:
    row = {"call_id": uuid.uuid4(), "tenant": job.tenant, "trace_id": job.pk, "route": "jobs", "provider": "openai"}
    row |= {"model": "m", "input_tokens": 11, "output_tokens": 5, "created_at": timezone.now()}
    UsageEvent.objects.create(**row | fields)


@pytest.mark.parametrize("rows", USED.values(), ids=USED)
def test_a_success_counts_what_was_used_as_every_ending_does(principal: Principal, rows: list[dict[str, Any]]) -> None:
    claim = claimed(principal)
    for row in rows:
        use(claim.job, **row)
    use(queued(principal, "another job"), **PRICED)
    expected = usage.totals(claim.job)
    assert ending.succeed(claim, {"text": "done"})
    job = fresh(claim)
    assert {name: getattr(job, name) for name in expected} == expected


def test_a_success_is_told_of_in_the_timeline(principal: Principal) -> None:
    claim = claimed(principal)
    assert ending.succeed(claim, {"text": "done"})
    job = fresh(claim)
    [entry] = job.timeline
    assert (entry["number"], entry["worker"], entry["outcome"], entry["error"]) == (1, "worker-1", "succeeded", "")
    assert datetime.fromisoformat(entry["started_at"]) == job.claimed_at
    assert datetime.fromisoformat(entry["ended_at"]) == job.finished_at
    assert (job.lease_until, job.progress) == (None, 100)


def test_a_success_that_is_to_be_told_leaves_its_callback(principal: Principal) -> None:
    claim = claimed(principal, callback_url="https://example.org/done")
    assert ending.succeed(claim, {"text": "done"})
    assert [callback.type for callback in Callback.objects.all()] == ["job.succeeded"]


@pytest.mark.postgresql
def test_most_steps_are_sent_in_one_statement(principal: Principal, django_assert_num_queries: Any) -> None:
    claim = claimed(principal)
    with django_assert_num_queries(1):
        assert steps.send_first(claim, "ask") == steps.Step(1)
    step = JobStep.objects.get()
    assert (step.job_id, step.name, step.state, step.sends, step.fence) == (claim.job.pk, "ask", "sent", 1, claim.fence)
    with django_assert_num_queries(1):
        assert steps.done(claim, "ask", ["kept"])
    assert steps.begin(claim, "ask") == steps.Step(1, is_done=True, result=["kept"])


def revoke(claim: Claim) -> None:
    Credential.objects.update(revoked_at=timezone.now())


def delete(claim: Claim) -> None:
    Credential.objects.all().delete()


def deactivate(claim: Claim) -> None:
    Tenant.objects.update(is_active=False)


def lose(claim: Claim) -> None:
    Job.objects.update(fence=F("fence") + 1)


@pytest.mark.parametrize("happen", [revoke, delete, deactivate, lose])
def test_what_may_not_be_sent_is_not_marked_as_sent(principal: Principal, happen: Any) -> None:
    claim = claimed(principal)
    happen(claim)
    assert steps.send_first(claim, "ask") is None
    assert not JobStep.objects.exists()


def test_a_step_that_is_known_is_not_sent_for_the_first_time(principal: Principal) -> None:
    claim = claimed(principal)
    steps.begin(claim, "ask")
    assert steps.send_first(claim, "ask") is None
    assert JobStep.objects.get().sends == 1


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("write", ["succeed", "step done", "step sent"])
def test_a_claim_that_is_lost_while_its_write_waits_writes_nothing(write: str) -> None:
    claim = claimed(site())
    steps.begin(claim, "ask")
    writes = {
        "succeed": lambda: ending.succeed(claim, {"text": "mine"}),
        "step done": lambda: steps.done(claim, "ask", "mine"),
        "step sent": lambda: steps.send_first(claim, "another"),
    }
    outcome: list[Any] = []

    def late() -> None:
        try:
            outcome.append(writes[write]())
        finally:
            connection.close()

    thread = threading.Thread(target=late)
    with transaction.atomic():
        Job.objects.filter(pk=claim.job.pk).update(fence=F("fence") + 1)
        thread.start()
        until_it_waits(thread)
    thread.join()
    assert not outcome[0]
    assert fresh(claim).status == "running"
    assert [(step.name, step.state) for step in JobStep.objects.all()] == [("ask", "sent")]


def until_it_waits(thread: threading.Thread) -> None:
    """Until another connection to this database waits for a lock, or nothing is left that could."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connection.cursor() as cursor:
        while thread.is_alive():
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(waits)
            if cursor.fetchone()[0]:
                return
