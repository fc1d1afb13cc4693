"""Who gets which job: fairly, once, within each site's limit."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs import claim_rows, claim_statement, claims, ending
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.models import Job, Tenant
from tests.flows.jobs.conftest import claimed, fresh, queued, site
from tests.unit.policy.contention import in_threads


def many(tenant: Tenant, count: int, **fields: Any) -> None:
    """So many queued jobs, as rows."""
    due = timezone.now() - timedelta(seconds=5)
    Job.objects.bulk_create(
        (Job(tenant=tenant, kind="echo", run_after=due, **fields) for _ in range(count)), batch_size=1000
    )


def by_site(found: list[Claim]) -> Counter[int]:
    return Counter(claim.job.tenant_id for claim in found)


@pytest.fixture(params=["this database's", "row by row"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostgreSQL can do both."""
    if request.param == "row by row":
        monkeypatch.setattr(claims, "is_postgresql", lambda: False)


@pytest.mark.usefixtures("_way")
def test_the_one_job_of_a_site_does_not_wait_behind_thousands_of_another(db: None) -> None:
    busy, quiet = site().tenant, site().tenant
    many(busy, 3000)
    many(quiet, 1)
    assert by_site(claims.claim(worker="w", at_most=2)) == {busy.pk: 1, quiet.pk: 1}


@pytest.mark.usefixtures("_way")
def test_what_runs_already_counts_for_whose_turn_it_is(db: None) -> None:
    one, other = site().tenant, site().tenant
    many(one, 20)
    assert by_site(claims.claim(worker="w", at_most=4)) == {one.pk: 4}
    many(other, 20)
    assert by_site(claims.claim(worker="w", at_most=4)) == {other.pk: 4}
    assert by_site(claims.claim(worker="w", at_most=4)) == {one.pk: 2, other.pk: 2}


@pytest.mark.usefixtures("_way")
def test_of_one_site_the_higher_priority_comes_first_then_the_older_job(principal: Principal) -> None:
    names = {}
    for name, priority in (("first", 0), ("second", 0), ("urgent", 5), ("late", -1)):
        names[queued(principal, name, priority=priority).pk] = name
    order = [names[claim.job.pk] for _ in range(4) for claim in claims.claim(worker="w", at_most=1)]
    assert order == ["urgent", "first", "second", "late"]


@pytest.mark.usefixtures("_way")
def test_a_site_runs_no_more_than_its_limit(db: None, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOBS_PER_TENANT": 3}
    own, usual, none = site(max_running_jobs=5).tenant, site().tenant, site(max_running_jobs=0).tenant
    for tenant in (own, usual, none):
        many(tenant, 10)
    found = claims.claim(worker="w", at_most=100)
    assert by_site(found) == {own.pk: 5, usual.pk: 3}
    assert claims.claim(worker="w", at_most=100) == []
    assert ending.succeed(next(claim for claim in found if claim.job.tenant_id == usual.pk), None)
    assert by_site(claims.claim(worker="w", at_most=100)) == {usual.pk: 1}


@pytest.mark.usefixtures("_way")
def test_a_batch_that_waits_takes_no_place(db: None) -> None:
    principal = site(max_running_jobs=1)
    parent = claimed(principal)
    child = queued(principal, "other")
    Job.objects.filter(pk=child.pk).update(parent=parent.job.pk, ordinal=0)
    assert claims.claim(worker="w", at_most=9) == []
    assert ending.wait_for_children(parent)
    assert [claim.job.pk for claim in claims.claim(worker="w", at_most=9)] == [child.pk]


@pytest.mark.usefixtures("_way")
def test_what_is_not_due_and_what_is_of_an_inactive_site_stays(db: None) -> None:
    later, off = site(), site()
    queued(later, run_after=timezone.now() + timedelta(hours=1))
    queued(off)
    Tenant.objects.filter(pk=off.tenant.pk).update(is_active=False)
    assert claims.claim(worker="w", at_most=9) == []
    assert 3590 < (claims.seconds_to_next() or 0) <= 3600
    assert (claims.depth().queued, claims.depth().running) == (1, 0)


@pytest.mark.usefixtures("_way")
def test_a_renewal_tells_of_lost_and_cancelled_jobs_and_extends_the_others(principal: Principal) -> None:
    lost, told, kept = (claimed(principal, text=str(number)) for number in range(3))
    assert ending.give_back(lost)
    ending.request_cancel(principal.tenant, told.job.pk)
    Job.objects.filter(pk=kept.job.pk).update(lease_until=timezone.now())
    renewed = claims.renew({claim.job.pk: claim.fence for claim in (lost, told, kept)})
    assert renewed == claims.Renewed(frozenset({lost.job.pk}), frozenset({told.job.pk}))
    assert (fresh(kept).lease_until or timezone.now()) > timezone.now() + timedelta(seconds=20)
    assert fresh(lost).lease_until is None


def test_a_claim_begins_an_attempt(principal: Principal) -> None:
    claim = claimed(principal)
    job = fresh(claim)
    assert (job.status, job.attempts, job.fence, job.worker) == ("running", 1, 1, "worker-1")
    assert job.started_at == job.claimed_at
    assert (claim.job.attempts, claim.job.fence, claim.fence) == (1, 1, 1)
    assert ending.give_back(claim)
    [again] = claims.claim(worker="worker-2", at_most=1)
    assert (again.fence, again.job.attempts, again.job.started_at) == (2, 1, job.started_at)


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_at_once_get_each_job_once_and_keep_within_the_limits() -> None:
    small, large = site(max_running_jobs=7).tenant, site(max_running_jobs=40).tenant
    many(small, 60)
    many(large, 60)
    found = [
        claim for some in in_threads(lambda: claims.claim(worker="w", at_most=3), calls=48, threads=8) for claim in some
    ]
    assert len({claim.job.pk for claim in found}) == len(found)
    assert by_site(found) == {small.pk: 7, large.pk: 40}


@pytest.mark.django_db(transaction=True)
def test_workers_that_claim_and_end_at_once_end_every_job_once() -> None:
    tenants = [site(max_running_jobs=4).tenant for _ in range(3)]
    for tenant in tenants:
        many(tenant, 20)
    seen: list[int] = []

    def work() -> int:
        ended = 0
        for claim in claims.claim(worker="w", at_most=2):
            running = Job.objects.filter(tenant=claim.job.tenant_id, status="running").count()
            seen.append(running)
            ended += ending.succeed(claim, {"text": "done"})
        return ended

    ended = sum(in_threads(work, calls=80, threads=8))
    while left := work():
        ended += left
    assert ended == 60
    assert Job.objects.filter(status="succeeded", fence=1, attempts=1).count() == 60
    assert max(seen) <= 4


@pytest.mark.once
@pytest.mark.postgresql
def test_a_claim_reads_only_the_beginning_of_a_long_queue(db: None) -> None:
    tenants = [site().tenant for _ in range(3)]
    many(tenants[0], 5000)
    for tenant in tenants[1:]:
        many(tenant, 10)
    many(tenants[0], 3000, status="succeeded", finished_at=timezone.now())
    values = {"worker": "w", "at_most": 10, "per_tenant": 50, "lease_s": 30}
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE django_wp_ai_job")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {claim_statement._CLAIM}", values)
        plan = cursor.fetchone()[0][0]["Plan"]
    read = [
        node for node in nodes(plan) if node.get("Relation Name") == "django_wp_ai_job" and "Scan" in node["Node Type"]
    ]
    assert read
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in read) <= 40
    assert sum(node.get("Rows Removed by Filter", 0) * node["Actual Loops"] for node in read) <= 40


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(inner for child in plan.get("Plans", ()) for inner in nodes(child))]


def test_many_renewals_are_asked_for_in_parts(principal: Principal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_rows, "AT_ONCE", 2)
    held = {claim.job.pk: claim.fence for claim in (claimed(principal, text=str(number)) for number in range(5))}
    assert claim_rows.renew(held, lease_s=30) == dict.fromkeys(held, False)
