"""``python -m tests.benchmarks.jobs``: jobs a second and the memory of workers, beside plain django-q2 and Celery.

All make the same call, to a vendor that takes its time, through the same Redis-compatible server, in one run. The app's
jobs are rows in PostgreSQL (with its durable defaults), go through limits and ledger, and survive their worker; plain
tasks are none of that. Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import django
import psutil

from tests.benchmarks import calls, report
from tests.benchmarks.gateway import fresh_site
from tests.benchmarks.load import Plan, once, percentile, run
from tests.benchmarks.servers import Cores, app, vendor
from tests.services import postgres_url, redis_url

ROOT = Path(__file__).resolve().parents[2]
DONE = "benchmark:done"
MARKS = ("<!-- jobs -->", "<!-- /jobs -->")
OURS = "django-wp-ai, 1 worker process"


@dataclass(frozen=True, slots=True)
class Run:
    """One contestant's run; memory is the highest of all its processes together, shared pages counted once."""

    name: str
    jobs: int
    call_s: float
    took_s: float
    memory_mb: float
    cpu_s: float
    worker_mb: float | None = None  # resident memory of one worker process, where that is what is asked for

    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        worker = "" if self.worker_mb is None else f"{self.worker_mb:.0f} MB"
        times = f"{self.call_s:g}", f"{self.took_s:.1f}", f"{self.jobs / self.took_s:.1f}"
        cpu = f"{1000 * self.cpu_s / self.jobs:.1f}"
        return self.name, str(self.jobs), *times, cpu, f"{self.memory_mb:.0f} MB", worker


class Watch:
    """The most memory that a process and its descendants took together, and their processor time since now."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.most_mb = 0.0
        self._cpu_before_s = self._cpu_s()

    def look(self) -> None:
        """Note what they take now."""
        self.most_mb = max(self.most_mb, sum(self._each(lambda one: float(one.memory_full_info().pss))) / 1e6)

    @property
    def cpu_s(self) -> float:
        """Used since the beginning."""
        return self._cpu_s() - self._cpu_before_s

    def _cpu_s(self) -> float:
        return sum(self._each(lambda one: float(one.cpu_times().user + one.cpu_times().system)))

    def _each(self, look: Callable[[psutil.Process], float]) -> list[float]:
        found = []
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                found.append(look(process))
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return found


def wait_for(done: Callable[[], bool], watch: Watch, look: Callable[[], None] = lambda: None) -> None:
    """Until it is done, looking at memory about twice a second."""
    next_look = 0.0
    while not done():
        if time.monotonic() >= next_look:
            watch.look()
            look()
            next_look = time.monotonic() + 0.5
        time.sleep(0.02)


def ours(vendor_url: str, jobs: int, call_s: float, *, concurrency: int = 100) -> Run:
    """This app's jobs: from the first row to the last ending."""
    from django_wp_ai.datatypes import Principal
    from django_wp_ai.jobs.create import create
    from django_wp_ai.jobs.new import NewJob
    from django_wp_ai.models import Job
    from tests.factories import TenantFactory, make_credential
    from tests.load.clusters import running_cluster
    from tests.load.site.wp_ai_jobs import SINGLE

    tenant = TenantFactory.create(max_running_jobs=10_000)
    credential = make_credential("api_key", tenant=tenant).credential
    principal = Principal(tenant=tenant, credential=credential, scopes=frozenset({"jobs"}), method="api_key")
    options = {
        "PROVIDERS": {"openai": {"api_key": "vendor-key", "base_url": f"{vendor_url}/v1"}},
        "JOBS_CONCURRENCY": concurrency,
    }
    mine = Job.objects.for_tenant(tenant)
    worker_mb = 0.0
    with running_cluster(options, workers=1, broker={"orm": None, "redis": redis_url()}) as cluster:
        while not cluster.workers():
            time.sleep(0.1)
        time.sleep(2)  # what a process does at its start is not measured, here as with the others
        [worker], watch = cluster.workers(), Watch(cluster.pid)

        def look() -> None:
            nonlocal worker_mb
            worker_mb = max(worker_mb, psutil.Process(worker).memory_info().rss / 1e6)

        begun = time.perf_counter()
        for number in range(jobs):
            text = f"Question {number}. [[delay={call_s}]]"
            create(principal, NewJob(kind=SINGLE, input={"text": text}))
        wait_for(lambda: not mine.unfinished().exists(), watch, look)
        took_s, cpu_s = time.perf_counter() - begun, watch.cpu_s
        cluster.stop()
    if mine.filter(status="succeeded").count() != jobs:
        raise RuntimeError("Not all jobs succeeded.")
    name = OURS if concurrency == 100 else f"{OURS}, JOBS_CONCURRENCY {concurrency}"
    return Run(name, jobs, call_s, took_s, watch.most_mb, cpu_s, worker_mb)


@contextmanager
def _started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def theirs(
    name: str, worker: list[str], hand_in: list[str], environment: dict[str, str], jobs: int, call_s: float
) -> Run:
    """Tasks of another queue: from the first hand-in to the last that is done."""
    from redis import Redis

    redis = Redis.from_url(redis_url())
    with _started(worker, environment) as process:
        _hand_in(hand_in, environment, 1, 0)  # the first one waits for the workers to be there
        while int(redis.get(DONE) or 0) < 1:
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}.")
            time.sleep(0.1)
        redis.delete(DONE)
        watch, begun = Watch(process.pid), time.perf_counter()
        handing_in = subprocess.Popen([*hand_in, str(jobs), str(call_s)], cwd=ROOT, env=environment)
        wait_for(lambda: int(redis.get(DONE) or 0) >= jobs, watch)
        took_s, cpu_s = time.perf_counter() - begun, watch.cpu_s
        handing_in.wait()
    redis.delete(DONE)
    redis.close()
    return Run(name, jobs, call_s, took_s, watch.most_mb, cpu_s)


def _hand_in(command: list[str], environment: dict[str, str], jobs: int, call_s: float) -> None:
    quiet = subprocess.DEVNULL
    subprocess.run(
        [*command, str(jobs), str(call_s)], cwd=ROOT, env=environment, check=True, stdout=quiet, stderr=quiet
    )


def plain_q2(vendor_url: str, jobs: int, call_s: float, *, workers: int) -> Run:
    """Plain django-q2 tasks."""
    from tests.load.clusters import environment

    values = environment({}) | {
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.plain_settings",
        "PLAIN_WORKERS": str(workers),
        "VENDOR_URL": vendor_url,
    }
    worker = [sys.executable, "-m", "django", "qcluster"]
    hand_in = [sys.executable, "-m", "tests.benchmarks.plain_tasks"]
    return theirs(f"plain django-q2, {workers} processes", worker, hand_in, values, jobs, call_s)


def celery(python: str, vendor_url: str, jobs: int, call_s: float, *, pool: str, size: int) -> Run:
    """Celery with one of its pools."""
    socket = redis_url().removeprefix("unix://").partition("?")[0]
    values = {
        "PATH": os.environ.get("PATH", ""),
        "PYTHONPATH": str(ROOT),
        "VENDOR_URL": vendor_url,
        "REDIS_URL": redis_url(),
        "CELERY_BROKER": f"redis+socket://{socket}?virtual_host=1",
    }
    command = [python, "-m", "celery", "-A", "tests.benchmarks.celery_tasks", "worker", f"--pool={pool}", f"-c{size}"]
    hand_in = [python, "-m", "tests.benchmarks.celery_tasks"]
    what = "processes" if pool == "prefork" else pool
    return theirs(f"Celery, {size} {what}", command, hand_in, values, jobs, call_s)


def creating(issued: Any, cores: Cores, vendor_port: int, seconds: float) -> str:
    """Jobs handed in over HTTP: the reply comes after the commit."""
    from django_wp_ai.models import Job

    options = {
        "PROVIDERS": {"openai": {"api_key": "vendor-key", "base_url": f"http://127.0.0.1:{vendor_port}/v1"}},
        "JOBS_QUEUED_PER_TENANT": 10**9,
        "CREDENTIAL_CACHE_S": 0.5,
    }
    lines = []
    with app(cores, options) as server:
        for connections in (1, 10, 50):
            plan = Plan(server.port, lambda: calls.job(issued))
            once(plan)
            before, sent = Job.objects.count(), run(plan, connections=connections, warm_up_s=1, seconds=seconds)
            if Job.objects.count() - before != sent.sent:
                raise RuntimeError(f"{sent.sent} replies, but {Job.objects.count() - before} rows.")
            waits = [f"{1000 * percentile(sent.whole_s, percent):.1f}" for percent in report.PERCENTS]
            lines.append((str(connections), f"{sent.rate:.0f}", *waits, f"{server.rss_mb:.0f} MB"))
    return report.table(("connections", "created/s", "p50 ms", "p95 ms", "p99 ms", "memory"), lines)


def measure(issued: Any, cores: Cores, wished: argparse.Namespace) -> str:
    """All runs; gives the report."""
    runs = []
    with vendor() as stand_in:
        url = f"http://127.0.0.1:{stand_in.port}"
        for jobs, call_s, concurrency in ((wished.jobs, wished.call_s, 100), (200, 5.0, 100), (200, 5.0, 200)):
            runs.append(ours(url, jobs, call_s, concurrency=concurrency))
            print(runs[-1], file=sys.stderr, flush=True)
        for workers in (2, 10):
            runs.append(plain_q2(url, wished.jobs, wished.call_s, workers=workers))
            print(runs[-1], file=sys.stderr, flush=True)
        if wished.celery:
            for pool, size in (("prefork", 2), ("prefork", 10), ("threads", 100)):
                runs.append(celery(wished.celery, url, wished.jobs, wished.call_s, pool=pool, size=size))
                print(runs[-1], file=sys.stderr, flush=True)
        created = creating(issued, cores, stand_in.port, wished.seconds)
    head = ("queue", "jobs", "call s", "took s", "jobs/s", "CPU ms each", "memory", "of the worker")
    beside = "" if wished.celery else "Celery was not measured: `--celery PYTHON` names an interpreter that has it."
    parts = (
        report.machine(str(cores)),
        report.table(head, [each.cells() for each in runs]),
        beside,
        "Jobs handed in by HTTP:",
        created,
    )
    return "\n\n".join(part for part in parts if part)


def main() -> None:
    """Read the arguments, measure, print; with ``--write`` also into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.jobs", description=__doc__)
    parser.add_argument("--jobs", type=int, default=300, help="of each contestant (default: %(default)s)")
    parser.add_argument("--call-s", type=float, default=1.0, help="what the vendor takes (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of creating by HTTP (default: %(default)s)")
    parser.add_argument("--celery", default="", help="a Python interpreter that has celery[redis]")
    parser.add_argument("--write", action="store_true", help="replace the figures in docs/performance.md")
    wished = parser.parse_args()
    if wished.celery and shutil.which(wished.celery) is None:
        parser.error(f"{wished.celery} is no executable")
    cores = Cores()
    os.environ["TEST_DATABASE_URL"] = postgres_url("benchmarks", "")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    django.setup()
    with fresh_site() as issued:
        figures = measure(issued, cores, wished)
    print(figures)
    if wished.write:
        report.write(figures, marks=MARKS)


if __name__ == "__main__":
    main()
