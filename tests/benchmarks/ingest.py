"""``python -m tests.benchmarks.ingest``: chunks a second from handing posts in to serving them, and the memory of it.

PostgreSQL (with its durable defaults) in processes of its own; here the worker's runner and a provider that answers at
once, so that the vendor's time is none. Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import django
import psutil
from django.utils import timezone

from tests.benchmarks import report
from tests.services import postgres_url

MARKS = ("<!-- ingest -->", "<!-- /ingest -->")
HEAD = ("run", "queued", "chunks", "embedded", "calls", "hand in s", "all s", "CPU s", "chunks/s", "MB", "failed")
WORDS = "the harbour opens at nine and ferries leave from pier two when weather allows it so bring a coat".split()  # noqa: SIM905


def post(number: int, size: int) -> tuple[str, str]:
    """A post of about so many bytes, as WordPress has it; every one says something else."""
    draw = random.Random(number)
    parts, length = [], 0
    while length < size:
        sentence = " ".join(draw.choice(WORDS) for _ in range(14)).capitalize() + f" ({draw.randrange(10**6)})."
        parts.append(f"<!-- wp:paragraph --><p>{sentence}</p><!-- /wp:paragraph -->")
        length += len(sentence)
    half = len(parts) // 2
    return f"Post {number}", "".join([*parts[:half], "<h2>More of it</h2>", *parts[half:]])


def handed_in(posts: int, size: int, edited: int) -> Iterator[Any]:
    """The site's posts; the first ``edited`` have changed."""
    from django_wp_ai.rag.ingest import NewDocument

    for number in range(posts):
        title, html = post(number, size)
        if number < edited:
            html = f"<p>Edited {edited}.</p>{html}"
        yield NewDocument(source_id=f"post-{number}", title=title, html=html, post_type="post", tells=False)


def take_in(tenant: Any, documents: Iterable[Any]) -> dict[str, int]:
    """Hand them in as a sync does."""
    from django_wp_ai.rag.ingest import operator_of
    from django_wp_ai.rag.ingest.sets import Intake

    taking = Intake(operator_of(tenant))
    for new in documents:
        taking.add(new)
    taking.flush()
    return dict(taking.counts)


async def work(watch: Watch) -> None:
    """Run the worker's own runner until no job is left."""
    from django_wp_ai.bridge import in_pool
    from django_wp_ai.jobs.runner import Runner
    from django_wp_ai.models import Job

    stopping = asyncio.Event()
    running = asyncio.create_task(Runner("benchmark").run(stopping))
    while await in_pool(Job.objects.filter(status__in=Job.UNFINISHED).exists):
        watch.look()
        await asyncio.sleep(0.1)
    stopping.set()
    await running


class Watch:
    """The memory of this process, which is the worker: as it began, and the most it was."""

    def __init__(self) -> None:
        self._process = psutil.Process()
        self.began_mb = self.most_mb = self._now_mb()

    def look(self) -> None:
        self.most_mb = max(self.most_mb, self._now_mb())

    def _now_mb(self) -> float:
        return float(self._process.memory_info().rss) / 1e6


def run(tenant: Any, name: str, documents: Iterator[Any]) -> tuple[str, ...]:
    """Hand in, index, and say how it went."""
    from django_wp_ai.models import Chunk, Document
    from tests.benchmarks.instant import Instant

    Instant.texts = Instant.calls = 0
    Instant.spent_s = 0.0
    since = timezone.now()
    watch, began, cpu_s = Watch(), time.perf_counter(), time.process_time()
    counts = take_in(tenant, documents)
    taken_s = time.perf_counter() - began
    asyncio.run(work(watch))
    took_s = time.perf_counter() - began - Instant.spent_s
    states = Document.objects.for_tenant(tenant).exclude(status="indexed").count()
    chunks = Chunk.objects.for_tenant(tenant).live().count()
    fresh = Document.objects.for_tenant(tenant).filter(indexed_at__gte=since)
    made = sum(fresh.values_list("chunk_count", flat=True))
    cells = (
        name,
        *map(str, (counts.get("queued", 0), chunks, Instant.texts, Instant.calls)),
        *(f"{seconds:.1f}" for seconds in (taken_s, took_s, time.process_time() - cpu_s)),
        f"{made / took_s:.0f}" if made else "-",
        f"{watch.began_mb:.0f} → {watch.most_mb:.0f}",
        str(states),
    )
    print(" ", *cells, file=sys.stderr, flush=True)
    return cells


def measure(posts: int, size: int) -> str:
    """Runs of all posts, of none that has changed, of a tenth edited and of three times as many; gives the report."""
    return f"{report.machine()}\n\n{report.table(HEAD, list(_runs(posts, size)))}"


def _runs(posts: int, size: int) -> Iterator[tuple[str, ...]]:
    from tests.factories import TenantFactory

    run(TenantFactory.create(), "what is done once", handed_in(50, size, 0))
    tenant = TenantFactory.create()
    yield run(tenant, f"{posts} posts of {size} B", handed_in(posts, size, 0))
    yield run(tenant, "nothing changed", handed_in(posts, size, 0))
    yield run(tenant, "a tenth edited", handed_in(posts, size, posts // 10))
    yield run(TenantFactory.create(), f"{3 * posts} posts", handed_in(3 * posts, size, 0))


def _let_go() -> None:
    """End the connections that the runner's threads keep, so that the database can go."""
    from django.db import connection

    with connection.cursor() as cursor:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        cursor.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")


def main() -> None:
    """Read the arguments, measure, print; with ``--write`` also into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ingest", description=__doc__)
    parser.add_argument("--posts", type=int, default=1000, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, default=2000, help="bytes of text of each (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="replace the figures in docs/performance.md")
    wished = parser.parse_args()
    os.environ["TEST_DATABASE_URL"] = postgres_url("benchmarks", "")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    os.environ["TEST_WP_AI"] = '{"PROVIDERS": {"instant": {"class": "tests.benchmarks.instant.Instant"}}}'
    django.setup()
    from tests.benchmarks.gateway import fresh_site

    with fresh_site():
        figures = measure(wished.posts, wished.size)
        _let_go()
    print(figures)
    if wished.write:
        report.write(figures, marks=MARKS)


if __name__ == "__main__":
    main()
