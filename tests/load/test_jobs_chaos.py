"""A thousand jobs while workers are killed, the broker is emptied and the database crashes: nothing lost or doubled."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, TypeVar

import psutil
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from redis import Redis

from django_wp_ai.datatypes import Principal
from django_wp_ai.jobs.create import create
from django_wp_ai.jobs.new import NewJob
from django_wp_ai.models import Callback, Job, JobStep, Tenant, UsageEvent
from django_wp_ai.policy import budget
from tests.api.conftest import options
from tests.factories import TenantFactory, make_credential
from tests.load.clusters import Cluster, running_cluster
from tests.load.databases import Postgres, own_postgres
from tests.load.receivers import Site, receiving_site
from tests.load.site.wp_ai_jobs import STEPS
from tests.services import redis_url
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.postgresql

JOBS, TENANTS, WORKERS = 1000, 4, 2
TOKEN_USD = Decimal("0.001")  # of an output token; input costs nothing
ANSWER_TOKENS = 20
ANSWER_USD = TOKEN_USD * ANSWER_TOKENS
WORST_USD = TOKEN_USD * 64  # what the errands' steps may use at most
T = TypeVar("T")


def wishes(vendor: RunningVendor) -> dict[str, Any]:
    """Short leases, so that a kill costs seconds; a busy machine that runs tests is no broken vendor."""
    return options(
        vendor.url,
        PRICES={"openai:gpt-4o-mini": {"input": "0", "output": str(TOKEN_USD * 1_000_000)}},
        OUTBOUND_ALLOWED_NETWORKS=["127.0.0.0/8"],
        PROVIDER_CONNECT_TIMEOUT_S=60,
        CACHE_TIMEOUT_S=5,
        JOBS_CONCURRENCY=25,
        CALLBACKS_PER_TENANT=50,
        JOB_LEASE_S=3,
        JOB_POLL_S=0.2,
        JOB_RETRY_BASE_S=0.1,
        JOB_RETRY_MAX_S=0.5,
    )


@pytest.fixture
def postgres(django_db_blocker: Any) -> Iterator[Postgres]:
    with django_db_blocker.unblock(), own_postgres() as server:
        yield server


@pytest.fixture
def site() -> Iterator[Site]:
    with receiving_site() as running:
        yield running


def ask(question: Callable[[], T]) -> T:
    """Of a database that may be away at the moment."""
    while True:
        try:
            return question()
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(0.1)


def create_jobs(site: Site) -> None:
    sites = [TenantFactory.create(budget_month_usd=10_000) for _ in range(TENANTS)]
    for tenant in sites:
        make_credential("api_key", tenant=tenant)
        make_credential("callback", tenant=tenant)
    principals = [principal(tenant) for tenant in sites]
    for number in range(JOBS):
        text = f"errand {number} [[usage=10,{ANSWER_TOKENS} delay=0.1]]"
        new = NewJob(kind="errand", input={"text": text}, callback_url=site.url, callback_profile="standard")
        create(principals[number % TENANTS], new)


def principal(tenant: Tenant) -> Principal:
    credential = tenant.credentials.get(kind="api_key")
    return Principal(tenant=tenant, credential=credential, scopes=frozenset({"jobs", "chat"}), method="api_key")


class Chaos:
    """What happens to a cluster, about once a second, for as long as there is work."""

    def __init__(self, cluster: Cluster, postgres: Postgres) -> None:
        self.kills = 0
        self.flushes = 0
        self.crashes = 0
        self._cluster, self._postgres = cluster, postgres
        self._random = random.Random(7)

    def kill_a_worker(self) -> None:
        """At whatever step it is."""
        if workers := self._cluster.workers():
            psutil.Process(self._random.choice(workers)).kill()
            self.kills += 1

    def reign(self) -> None:
        """Until every job has ended and every callback has arrived."""
        while (left := ask(unfinished)) or ask(undelivered):
            print(time.strftime("%H:%M:%S"), left, ask(undelivered), self.kills, self.flushes, self.crashes, flush=True)
            time.sleep(self._random.uniform(0.7, 1.3))
            self.kill_a_worker()
            if left < JOBS * (0.8 - 0.4 * self.flushes) and self.flushes < 2:
                Redis.from_url(redis_url()).flushall()
                self.flushes += 1
            if left < JOBS * 0.6 and not self.crashes:
                self._postgres.crash(away_s=2)
                self.crashes += 1


def unfinished() -> int:
    return Job.objects.unfinished().count()


def undelivered() -> int:
    return Callback.objects.exclude(state="delivered").count()


def asked(vendor: RunningVendor) -> Counter[tuple[int, str]]:
    """The vendor's bill: how often each step of each job was asked for."""
    found: Counter[tuple[int, str]] = Counter()
    for request in vendor.requests:
        match = re.search(r"errand (\d+) .*?\]\] (\w+)", str(request.body))
        assert match
        found[int(match[1]), match[2]] += 1
    return found


def test_a_thousand_jobs_survive_whatever_happens_to_their_workers(
    postgres: Postgres, vendor: RunningVendor, site: Site
) -> None:
    create_jobs(site)
    broker = {"orm": None, "redis": redis_url()}
    with running_cluster(wishes(vendor), workers=WORKERS, broker=broker) as cluster:
        chaos = Chaos(cluster, postgres)
        chaos.reign()

    assert chaos.kills >= 10
    assert (chaos.flushes, chaos.crashes) == (2, 1)
    check_jobs()
    check_callbacks(site)
    check_bill(vendor)


def check_jobs() -> None:
    jobs = list(Job.objects.all())
    assert len(jobs) == JOBS
    assert {job.status for job in jobs} == {"succeeded"}
    for job in jobs:
        outcomes = [entry["outcome"] for entry in job.timeline]
        assert outcomes.count("succeeded") == 1
        assert outcomes[-1] == "succeeded"


def check_callbacks(site: Site) -> None:
    """One callback a job, which had one id however often it was sent, so that its effect came once."""
    jobs = {str(pk) for pk in Job.objects.values_list("pk", flat=True)}
    assert Callback.objects.count() == JOBS
    assert site.ids.keys() == jobs
    assert {len(ids) for ids in site.ids.values()} == {1}
    assert set(site.effects.values()) == {1}


def check_bill(vendor: RunningVendor) -> None:
    """Nothing was paid twice but calls that were under way at a kill, and each of those is counted."""
    bill = asked(vendor)
    assert bill.keys() == {(number, step) for number in range(JOBS) for step in STEPS}
    repeated = {job.pk: job.repeated_calls for job in Job.objects.all()}
    lost = {job.pk: sum(entry["outcome"] == "lost" for entry in job.timeline) for job in Job.objects.all()}
    assert all(times <= lost[job] for job, times in repeated.items())
    assert sum(sends - 1 for sends in JobStep.objects.values_list("sends", flat=True)) == sum(repeated.values())
    assert bill.total() - len(bill) <= sum(repeated.values())
    assert bill.total() - len(bill) > 0, "no kill hit a call: the test shows nothing"

    now = timezone.now()
    budget.settle_stale(opened_before=now, at=now)  # of calls that were settled while the database was away
    spent = UsageEvent.objects.spend()
    assert ANSWER_USD * bill.total() <= spent <= ANSWER_USD * bill.total() + WORST_USD * sum(repeated.values())
