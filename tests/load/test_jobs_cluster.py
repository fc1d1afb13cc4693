"""One real cluster: how many jobs a worker process has under way, and how it stops."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs.create import create
from django_wp_ai.jobs.new import NewJob
from django_wp_ai.models import Job, Tenant, UsageEvent
from tests.api.conftest import options
from tests.factories import TenantFactory, make_credential
from tests.load.clusters import running_cluster
from tests.load.site import wp_ai_jobs
from tests.services import redis_url
from tests.vendor.running import RunningVendor

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgresql]

assert wp_ai_jobs.STEPS  # importing it registers the kinds here too, where jobs are created

MEMORY_BYTES = 250_000_000
BROKERS = {"database": {"orm": "default", "poll": 0.1}, "redis": {"orm": None, "redis": redis_url()}}


@pytest.fixture
def principal() -> Principal:
    tenant = TenantFactory.create(max_running_jobs=1000)
    credential = make_credential("api_key", tenant=tenant).credential
    scopes = frozenset({"jobs", "chat"})
    return Principal(tenant=tenant, credential=credential, scopes=scopes, method="api_key")


def create_jobs(principal: Principal, texts: list[str], kind: str = "single") -> list[Job]:
    return [create(principal, NewJob(kind=kind, input={"text": text})).job for text in texts]


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.02)


def statuses(tenant: Tenant) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in Job.objects.for_tenant(tenant).values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


@pytest.mark.parametrize("broker", BROKERS)
def test_one_worker_process_has_a_hundred_calls_under_way_at_once(
    principal: Principal, vendor: RunningVendor, broker: str
) -> None:
    wishes: dict[str, Any] = options(vendor.url, JOBS_CONCURRENCY=120)
    with running_cluster(wishes, broker=BROKERS[broker]) as cluster:
        create_jobs(principal, [f"{number} [[hold]]" for number in range(150)])
        until(lambda: sum(not request.ended.is_set() for request in vendor.requests) == 120)
        assert statuses(principal.tenant) == {"running": 120, "queued": 30}
        [worker] = cluster.workers()
        assert psutil.Process(worker).memory_info().rss < MEMORY_BYTES
        vendor.release(None)
        until(lambda: statuses(principal.tenant) == {"succeeded": 150})
        assert len(vendor.requests) == 150
        assert cluster.stop() == 0


def test_a_cluster_that_is_told_to_stop_finishes_what_it_can_and_gives_the_rest_back(
    principal: Principal, vendor: RunningVendor
) -> None:
    tenant, wishes = principal.tenant, options(vendor.url, JOB_DRAIN_S=3)
    with running_cluster(wishes, broker=BROKERS["database"]) as cluster:
        create_jobs(principal, [f"{number} [[hold]]" for number in range(10)])
        until(lambda: len(vendor.requests) == 10)
        cluster.ask_to_stop()
        vendor.release(5)
        assert cluster.wait() == 0
    assert statuses(tenant) == {"succeeded": 5, "queued": 5}
    queued = Job.objects.for_tenant(tenant).filter(status="queued")
    assert {(job.attempts, job.lease_until, job.timeline[-1]["outcome"]) for job in queued} == {(0, None, "given_back")}
    assert not UsageEvent.objects.filter(state="pending").exists()

    vendor.release(None)
    with running_cluster(wishes, broker=BROKERS["database"]) as cluster:
        until(lambda: statuses(tenant) == {"succeeded": 10})
        assert cluster.stop() == 0
    jobs = Job.objects.for_tenant(tenant)
    assert len(vendor.requests) == 15
    assert sum(job.repeated_calls for job in jobs) == 5
    assert {job.attempts for job in jobs} == {1}


def test_workers_whose_cluster_was_killed_stop_by_themselves(principal: Principal, vendor: RunningVendor) -> None:
    """They would else run beside the next release's workers for ever."""
    with running_cluster(options(vendor.url, JOB_DRAIN_S=1), workers=2) as cluster:
        create_jobs(principal, ["[[hold]]"])
        until(lambda: len(vendor.requests) == 1)
        until(lambda: len(cluster.workers()) == 2)
        cluster.behead()
        until(lambda: not cluster.workers())
    [job] = Job.objects.for_tenant(principal.tenant)
    assert (job.status, job.attempts) == ("queued", 0)


def test_a_worker_that_is_killed_costs_a_lease_and_a_call_that_is_counted(
    principal: Principal, vendor: RunningVendor
) -> None:
    with running_cluster(options(vendor.url, JOB_LEASE_S=1)) as cluster:
        create_jobs(principal, ["once [[hold]]"])
        until(lambda: len(vendor.requests) == 1)
        [worker] = cluster.workers()
        psutil.Process(worker).kill()
        vendor.release(None)
        until(lambda: statuses(principal.tenant) == {"succeeded": 1})
    [job] = Job.objects.for_tenant(principal.tenant)
    assert [entry["outcome"] for entry in job.timeline] == ["lost", "succeeded"]
    assert (job.repeated_calls, len(vendor.requests)) == (1, 2)
    assert not UsageEvent.objects.filter(state="pending").exists()
    assert job.is_estimated  # the call that was cut off counts at its worst case
