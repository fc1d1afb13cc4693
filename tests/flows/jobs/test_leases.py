"""A lost lease is lost: by the database's clock, for every write, and for whatever the dead attempt had under way."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs import batches, claims, ending, steps
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.jobs.interrupts import LeaseLost
from django_wp_ai.models import Callback, Job, JobStep, Tenant, UsageEvent
from tests.flows.jobs.conftest import claimed, fresh, new, queued, site
from tests.unit.policy.contention import in_threads


def expire(claim: Claim) -> None:
    Job.objects.filter(pk=claim.job.pk).update(lease_until=Now() - timedelta(seconds=1))


def taken_over(claim: Claim) -> Claim:
    """The same job in another worker's hands."""
    expire(claim)
    assert claims.sweep() == 1
    [other] = claims.claim(worker="worker-2", at_most=1)
    assert other.job.pk == claim.job.pk
    return other


WRITES: dict[str, Callable[[Claim], bool]] = {
    "succeed": lambda claim: ending.succeed(claim, {"text": "mine"}),
    "fail": lambda claim: ending.fail(claim, code="internal", message="mine"),
    "retry later": lambda claim: ending.retry_later(claim, code="internal", message="mine"),
    "give back": ending.give_back,
    "cancel": ending.end_cancelled,
    "wait": ending.wait_for_children,
    "step done": lambda claim: steps.done(claim, "ask", "mine"),
    "step forgotten": lambda claim: steps.forget(claim, "ask"),
    "progress": lambda claim: steps.set_progress(claim, 77),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_who_lost_the_job_writes_nothing(principal: Principal, write: Callable[[Claim], bool]) -> None:
    old = claimed(principal, callback_url="https://example.org/done")
    steps.begin(old, "ask")
    taken_over(old)
    before = (Job.objects.values().get(), list(JobStep.objects.values()))
    assert write(old) is False
    assert (Job.objects.values().get(), list(JobStep.objects.values())) == before
    assert not Callback.objects.exists()


def test_who_lost_the_job_begins_nothing_that_is_paid_for(principal: Principal) -> None:
    old = claimed(principal)
    taken_over(old)
    with pytest.raises(LeaseLost):
        steps.begin(old, "ask")
    with pytest.raises(LeaseLost):
        batches.create_children(old, [new()])
    assert (Job.objects.count(), JobStep.objects.count()) == (1, 0)


def test_a_lease_that_ran_out_is_still_held_until_somebody_looks(principal: Principal) -> None:
    claim = claimed(principal)
    expire(claim)
    assert claims.renew({claim.job.pk: claim.fence}) == claims.Renewed(frozenset(), frozenset())
    assert claims.sweep() == 0
    assert ending.succeed(claim, None)


def test_a_job_that_kills_its_workers_fails_with_the_reason(principal: Principal) -> None:
    claim = claimed(principal, callback_url="https://example.org/done")
    for _ in range(2):
        expire(claim)
        assert claims.sweep() == 1
        Job.objects.update(run_after=Now() - timedelta(seconds=1))
        [claim] = claims.claim(worker="w", at_most=1)
    expire(claim)
    assert claims.sweep() == 1
    job = fresh(claim)
    assert (job.status, job.error_code, job.attempts) == ("failed", "worker_lost", 3)
    assert [entry["outcome"] for entry in job.timeline] == ["lost", "lost", "lost"]
    assert Callback.objects.get().type == "job.failed"
    assert claims.sweep() == 0


def test_a_job_that_was_to_be_cancelled_is_when_its_worker_is_gone(principal: Principal) -> None:
    claim = claimed(principal)
    ending.request_cancel(principal.tenant, claim.job.pk)
    expire(claim)
    claims.sweep()
    assert (fresh(claim).status, fresh(claim).error_code) == ("cancelled", "cancelled")


def call_under_way(tenant: Tenant, trace_id: uuid.UUID, **fields: Any) -> UsageEvent:
    row = {"route": "jobs", "provider": "offline", "model": "m", "created_at": timezone.now()}
    return UsageEvent.objects.create(tenant=tenant, trace_id=trace_id, **row | fields)


def test_what_a_dead_worker_asked_for_keeps_its_worst_case(principal: Principal) -> None:
    claim = claimed(principal)
    mine = call_under_way(principal.tenant, claim.job.pk, reserved_usd=Decimal("0.25"))
    others = call_under_way(principal.tenant, uuid.uuid4(), reserved_usd=Decimal("0.5"))
    taken_over(claim)
    mine.refresh_from_db()
    others.refresh_from_db()
    assert (mine.state, mine.cost_usd, mine.estimated, mine.error_code) == (
        "settled",
        Decimal("0.25"),
        True,
        "abandoned",
    )
    assert others.state == "pending"
    assert (fresh(claim).cost_usd, fresh(claim).is_estimated) == (Decimal("0.25"), True)


def test_a_call_that_a_stopping_worker_left_behind_is_settled_when_the_job_is_claimed_again(
    principal: Principal,
) -> None:
    claim = claimed(principal)
    left = call_under_way(principal.tenant, claim.job.pk, reserved_usd=Decimal("0.25"))
    assert ending.give_back(claim)
    left.refresh_from_db()
    assert left.state == "pending"
    assert claims.claim(worker="w", at_most=1)
    left.refresh_from_db()
    assert (left.state, left.cost_usd) == ("settled", Decimal("0.25"))


def test_a_cut_off_step_is_sent_again_and_counted_and_a_done_one_is_not(principal: Principal) -> None:
    old = claimed(principal)
    steps.begin(old, "one")
    steps.done(old, "one", ["kept"])
    steps.begin(old, "two")
    steps.begin(old, "three")
    steps.forget(old, "three")
    other = taken_over(old)
    assert steps.begin(other, "one") == steps.Step(1, is_done=True, result=["kept"])
    assert steps.begin(other, "two") == steps.Step(2)
    assert steps.begin(other, "three") == steps.Step(1)
    assert fresh(other).repeated_calls == 1
    assert not steps.done(old, "two", "late")
    assert steps.done(other, "two", "right")


class Clocks:
    """The process's clocks go wrong by so much in the thread that says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._mine = threading.local()
        now, seconds = timezone.now, time.time
        monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(seconds=self.wrong_s))
        monkeypatch.setattr(time, "time", lambda: seconds() + self.wrong_s)

    @property
    def wrong_s(self) -> float:
        return float(getattr(self._mine, "wrong_s", 0.0))

    def go_wrong(self, by_s: float) -> None:
        self._mine.wrong_s = by_s


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wrong_s", [300, -300])
def test_workers_whose_clocks_differ_by_five_minutes_never_run_a_job_twice_at_once(
    monkeypatch: pytest.MonkeyPatch, wrong_s: int
) -> None:
    clocks, principal = Clocks(monkeypatch), site()
    for number in range(12):
        queued(principal, str(number))
    running: set[uuid.UUID] = set()
    began: list[uuid.UUID] = []
    turn, lock = iter(range(2)), threading.Lock()
    mine = threading.local()

    def work() -> None:
        with lock:
            if not hasattr(mine, "wrong_s"):
                mine.wrong_s = wrong_s * next(turn, 0)
        clocks.go_wrong(mine.wrong_s)
        claims.sweep()
        for claim in claims.claim(worker=f"off by {mine.wrong_s}", at_most=2):
            with lock:
                assert claim.job.pk not in running
                running.add(claim.job.pk)
                began.append(claim.job.pk)
            claims.sweep()
            assert claims.renew({claim.job.pk: claim.fence}).lost == frozenset()
            with lock:
                running.discard(claim.job.pk)
            assert ending.succeed(claim, None)

    in_threads(work, calls=16, threads=2)
    work()
    assert len(began) == len(set(began)) == 12
    assert Job.objects.filter(status="succeeded", attempts=1).count() == 12


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wrong_s", [300, -300])
def test_a_lease_runs_out_by_the_databases_clock(monkeypatch: pytest.MonkeyPatch, wrong_s: int) -> None:
    clocks, principal = Clocks(monkeypatch), site()
    clocks.go_wrong(wrong_s)
    claim = claimed(principal)
    clocks.go_wrong(0)
    left = (fresh(claim).lease_until or timezone.now()) - timezone.now()
    assert timedelta(seconds=0) < left <= timedelta(seconds=30)
    clocks.go_wrong(-wrong_s)
    assert claims.sweep() == 0
    expire(claim)
    assert claims.sweep() == 1
