"""A batch and its children: begun once, counted right, gone on with once, cancelled and tried again together."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Conflict, Invalid
from django_wp_ai.jobs import batches, cancelling, claims, ending, reading, retention
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.jobs.waking import jobs_waiting
from django_wp_ai.models import Callback, Job
from tests.flows.jobs.conftest import claimed, fresh, new, site
from tests.unit.policy.contention import in_threads


def begun(principal: Principal, count: int) -> Claim:
    """A batch in its first run, with so many queued children."""
    parent = claimed(principal, callback_url="https://example.org/done")
    assert batches.create_children(parent, [new(str(number)) for number in range(count)]) == count
    return parent


def statuses(parent: Claim) -> list[str]:
    return list(Job.objects.filter(parent=parent.job.pk).order_by("ordinal").values_list("status", flat=True))


def test_children_have_what_their_batch_has_and_no_callback(db: None) -> None:
    principal = site(callback_url="https://example.org/hook")
    parent = claimed(principal, end_user="7", priority=3, request_id="r", plugin="p")
    batches.create_children(parent, [new("a", metadata={"post": 1}, end_user="8"), new("b")])
    first, second = Job.objects.filter(parent=parent.job.pk).order_by("ordinal")
    for child in (first, second):
        assert (child.tenant_id, child.credential_id) == (parent.job.tenant_id, parent.job.credential_id)
        assert (child.caller, child.end_user, child.request_id) == (parent.job.caller, "7", "r")
        assert (child.priority, child.callback_url) == (3, "")
    assert (first.metadata, second.metadata) == ({"post": 1}, {})
    assert parent.job.callback_url == "https://example.org/hook"


def test_a_child_that_is_not_valid_is_named_and_none_is_made(principal: Principal) -> None:
    parent = claimed(principal)
    bad = new(input={"text": 7})
    with pytest.raises(Invalid) as refused:
        batches.create_children(parent, [new(), bad])
    assert refused.value.errors[0]["field"] == "items.1.input.text"
    assert Job.objects.count() == 1


def test_there_is_an_end_to_how_many(principal: Principal, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "BATCH_MAX_JOBS": 2}
    with pytest.raises(Invalid):
        batches.create_children(claimed(principal), [new()] * 3)


def test_a_run_that_was_cut_off_makes_the_missing_children_only(principal: Principal) -> None:
    parent = claimed(principal)
    batches.create_children(parent, [new("0")])
    assert batches.create_children(parent, [new(str(number)) for number in range(3)]) == 2
    assert sorted(Job.objects.filter(parent=parent.job.pk).values_list("ordinal", flat=True)) == [0, 1, 2]


def test_a_batch_without_children_goes_on_at_once(principal: Principal) -> None:
    parent = claimed(principal)
    assert ending.wait_for_children(parent)
    [again] = claims.claim(worker="w", at_most=1)
    assert again.job.pk == parent.job.pk
    assert batches.ended_children(again) == []


def test_a_batch_sums_up_what_its_children_used(principal: Principal) -> None:
    parent = begun(principal, 2)
    ending.wait_for_children(parent)
    for claim in claims.claim(worker="w", at_most=2):
        ending.succeed(claim, {"text": "x"})
    Job.objects.exclude(parent=None).update(input_tokens=10, output_tokens=5, cost_usd="0.5", is_estimated=True)
    [again] = claims.claim(worker="w", at_most=1)
    ending.succeed(again, {"text": "all"})
    told = reading.describe(fresh(again))
    assert told["usage"] == {"input_tokens": 20, "output_tokens": 10, "cost_usd": "1", "estimated": True}
    assert Callback.objects.count() == 1


@pytest.fixture
def woken() -> Iterator[list[uuid.UUID]]:
    found: list[uuid.UUID] = []

    def note(*, job_id: uuid.UUID, **_: Any) -> None:
        found.append(job_id)

    jobs_waiting.connect(note)
    yield found
    jobs_waiting.disconnect(note)


@pytest.mark.django_db(transaction=True)
def test_children_that_end_at_once_wake_their_batch_once(woken: list[uuid.UUID]) -> None:
    parent = begun(site(), 12)
    assert ending.wait_for_children(parent)
    children = claims.claim(worker="w", at_most=20)
    assert len(children) == 12
    woken.clear()
    in_threads(lambda: ending.succeed(children.pop(), {"text": "x"}), calls=12, threads=6)
    assert woken == [parent.job.pk]
    job = fresh(parent)
    assert (job.status, job.waiting_for, job.attempts) == ("queued", None, 0)


def next_of(work: list[Callable[[], bool]]) -> bool:
    return work.pop()()


@pytest.mark.django_db(transaction=True)
def test_children_that_end_while_their_batch_begins_to_wait_are_counted() -> None:
    principal = site()
    for _ in range(6):
        parent = begun(principal, 4)
        children = claims.claim(worker="w", at_most=4)
        work = [partial(ending.wait_for_children, parent), *(partial(ending.succeed, one, None) for one in children)]
        random.shuffle(work)
        assert all(in_threads(partial(next_of, work), calls=5, threads=5))
        assert (fresh(parent).status, fresh(parent).waiting_for) == ("queued", None)
        [again] = claims.claim(worker="w", at_most=9)
        assert ending.succeed(again, None)


def test_cancelling_a_batch_that_waits_cancels_its_children_and_then_itself(
    principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cancelling, "AT_ONCE", 2)
    parent = begun(principal, 6)
    ending.wait_for_children(parent)
    [child] = claims.claim(worker="w", at_most=1)
    assert ending.request_cancel(principal.tenant, parent.job.pk).status == "running"
    assert sorted(statuses(parent)) == ["cancelled"] * 5 + ["running"]
    assert claims.renew({child.job.pk: child.fence}).cancelled == {child.job.pk}
    assert ending.end_cancelled(child)
    assert fresh(parent).status == "cancelled"
    assert Callback.objects.get().type == "job.cancelled"


def test_cancelling_a_batch_whose_children_are_all_queued_ends_it_at_once(principal: Principal) -> None:
    parent = begun(principal, 3)
    ending.wait_for_children(parent)
    assert ending.request_cancel(principal.tenant, parent.job.pk).status == "cancelled"
    assert statuses(parent) == ["cancelled"] * 3


def test_a_batch_that_fails_takes_its_children_along(principal: Principal) -> None:
    parent = begun(principal, 2)
    assert ending.fail(parent, code="internal", message="It broke.")
    assert statuses(parent) == ["cancelled"] * 2


def test_a_batch_that_is_to_be_cancelled_when_it_begins_to_wait_ends(principal: Principal) -> None:
    parent = begun(principal, 2)
    ending.request_cancel(principal.tenant, parent.job.pk)
    assert ending.wait_for_children(parent)
    assert (fresh(parent).status, statuses(parent)) == ("cancelled", ["cancelled"] * 2)


def test_a_batch_is_tried_again_with_its_failed_children_only(principal: Principal) -> None:
    parent = begun(principal, 3)
    good, bad, _ = claims.claim(worker="w", at_most=3)
    ending.succeed(good, {"text": "x"})
    ending.fail(bad, code="invalid", message="No.")
    ending.fail(parent, code="internal", message="It broke.")
    with pytest.raises(Conflict):
        ending.retry_ended(principal.tenant, bad.job.pk)
    assert ending.retry_ended(principal.tenant, parent.job.pk).status == "queued"
    assert (fresh(good).status, fresh(bad).status) == ("succeeded", "queued")
    assert (fresh(bad).attempts, fresh(bad).error_code) == (0, "")


def test_a_job_whose_input_is_no_longer_kept_is_not_tried_again(principal: Principal) -> None:
    claim = claimed(principal)
    ending.fail(claim, code="timeout", message="It took too long.")
    retention.purge(principal.tenant, older_than=timedelta(0), anonymise=True)
    with pytest.raises(Conflict, match="no longer kept"):
        ending.retry_ended(principal.tenant, claim.job.pk)
    assert fresh(claim).status == "failed"


def test_a_sweep_goes_on_with_a_batch_whose_children_are_gone(principal: Principal) -> None:
    parent = begun(principal, 2)
    ending.wait_for_children(parent)
    assert claims.sweep() == 0
    Job.objects.exclude(parent=None).delete()
    assert claims.sweep() == 1
    assert fresh(parent).status == "queued"


def test_a_sweep_finishes_what_a_dead_process_left_of_cancelling(principal: Principal) -> None:
    parent, other = begun(principal, 2), begun(site(), 2)
    ending.wait_for_children(parent)
    Job.objects.filter(pk=parent.job.pk).update(cancel_requested_at=parent.job.created_at)
    Job.objects.filter(pk=other.job.pk).update(status="failed", finished_at=other.job.created_at, lease_until=None)
    assert claims.sweep() == 2
    assert (fresh(parent).status, statuses(parent), statuses(other)) == (
        "cancelled",
        ["cancelled"] * 2,
        ["cancelled"] * 2,
    )


@pytest.mark.postgresql
def test_cancelling_locks_all_children_before_their_batch_as_those_do_who_end_one(principal: Principal) -> None:
    parent = begun(principal, 3)
    ending.wait_for_children(parent)
    children = Job.objects.filter(parent=parent.job.pk)
    ids = {pk.hex: f"child {number}" for number, pk in enumerate(children.order_by("pk").values_list("pk", flat=True))}
    with CaptureQueriesContext(connection) as queries:
        assert cancelling.cancel_children(parent.job.pk) == 3
    locks = [query["sql"] for query in queries if "FOR NO KEY UPDATE" in query["sql"]]
    named = [next((name for pk, name in ids.items() if pk in sql), "other") for sql in locks]
    assert named[:3] == ["child 0", "child 1", "child 2"]
    assert fresh(parent).status == "queued"
