"""``python -m tests.benchmarks.search``: how quick searches are and what they find, beside what one would write.

Sites of very different sizes share one table and one index over vectors. Everything is made by itself, in a database of
its own on a PostgreSQL of its own (durable, with 512 MB of shared buffers). Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

import django

from tests.benchmarks import report
from tests.benchmarks.gateway import fresh_site
from tests.benchmarks.load import percentile
from tests.services import postgres_url

if TYPE_CHECKING:  # models can't be imported before Django is set up
    from django_wp_ai.models import Tenant
    from tests.benchmarks.contestants import Contestant
    from tests.benchmarks.corpus import Question

MARKS = ("<!-- search -->", "<!-- /search -->")
TUNING = "\nshared_buffers = 512MB\nmax_wal_size = 4GB\n"
FILTERED_FROM = 1000  # passages of a site from which 1 % is enough to be filtered for


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, whose it is, the passage it was made from, and the exact nearest, without and with the filter."""

    tenant: Tenant
    question: Question
    source: int
    nearest: set[int]
    nearest_rare: set[int]


@dataclass(frozen=True, slots=True)
class Run:
    """What one contestant did with all questions."""

    name: str
    times_ms: list[float]
    rare_ms: list[float]
    found: float  # share of the questions whose passage is among the first ten
    recall: dict[str, list[float]] | None  # by site
    rare_recall: list[float] | None

    def cells(self) -> tuple[str, ...]:
        """Of the table."""
        times = (f"{percentile(self.times_ms, percent):.1f}" for percent in (50, 95))
        rare = f"{percentile(self.rare_ms, 95):.1f}" if self.rare_ms else ""
        return self.name, *times, rare, f"{self.found:.3f}", *self._recalls()

    def _recalls(self) -> tuple[str, str, str]:
        if self.recall is None:
            return "", "", ""
        of_all = fmean(share for shares in self.recall.values() for share in shares)
        worst = min(fmean(shares) for shares in self.recall.values())
        return f"{of_all:.3f}", f"{worst:.3f}", f"{fmean(self.rare_recall):.3f}" if self.rare_recall else ""


def run(contestant: Contestant, asked: Sequence[Asked]) -> Run:
    """All questions one after the other, on one connection; the first ones are asked twice and not counted once."""
    for each in asked[:20]:
        contestant.search(each.tenant, each.question, False)
    times: list[float] = []
    rare_times: list[float] = []
    found: list[bool] = []
    recall: dict[str, list[float]] = {}
    rare_recall: list[float] = []
    for each in asked:
        ids, took_ms = timed(contestant, each, rare=False)
        times.append(took_ms)
        found.append(each.source in ids)
        recall.setdefault(each.tenant.slug, []).append(share(ids, each.nearest))
        if each.nearest_rare:
            ids, took_ms = timed(contestant, each, rare=True)
            rare_times.append(took_ms)
            rare_recall.append(share(ids, each.nearest_rare))
    known = contestant.by_vectors
    return Run(
        contestant.name, times, rare_times, fmean(found), recall if known else None, rare_recall if known else None
    )


def timed(contestant: Contestant, each: Asked, *, rare: bool) -> tuple[list[int], float]:
    """What is found, and how many milliseconds it took."""
    begun = time.perf_counter()
    ids = contestant.search(each.tenant, each.question, rare)
    return ids, 1000 * (time.perf_counter() - begun)


def share(found: Sequence[int], wanted: set[int]) -> float:
    """Of what is wanted, how much was found."""
    return len(wanted.intersection(found)) / len(wanted) if wanted else 1.0


def ask(filled: Sequence[tuple[Tenant, Any]], maker: Any, count: int) -> list[Asked]:
    """The same number of questions for every site, mixed, with what is truly nearest."""
    from django_wp_ai.models import Chunk
    from tests.benchmarks.contestants import exact

    asked = []
    for tenant, site in filled:
        ids = list(Chunk.objects.for_tenant(tenant).order_by("ordinal").values_list("id", flat=True))
        for question in maker.questions(site, count):
            rare = set(exact(tenant, question, True)) if len(ids) >= FILTERED_FROM else set()
            nearest = set(exact(tenant, question, False))
            asked.append(Asked(tenant, question, ids[question.row], nearest, rare))
    random.Random(1).shuffle(asked)
    return asked


def measure(wished: argparse.Namespace) -> str:
    """Fill, index, ask; gives the report."""
    from django.db import connection

    from django_wp_ai.rag import index
    from tests.benchmarks.contestants import NAIVE_INDEX, contestants
    from tests.benchmarks.corpus import MODEL, Corpus, Maker
    from tests.benchmarks.filling import fill

    corpus = Corpus(wished.chunks, wished.tenants, wished.dimensions, wished.words)
    maker = Maker(corpus)
    filled = fill(corpus, maker)
    begun = time.perf_counter()
    index.ensure(MODEL, corpus.dimensions)
    built_s = time.perf_counter() - begun
    with connection.cursor() as cursor:
        cursor.execute(NAIVE_INDEX)
        cursor.execute("VACUUM ANALYZE django_wp_ai_chunk")
        cursor.execute(
            "SELECT pg_relation_size(%s::regclass), pg_relation_size('wpai_chunk_lexemes'::regclass),"
            " (SELECT extversion FROM pg_extension WHERE extname = 'vector'), current_setting('server_version')",
            [index.name_of(MODEL, corpus.dimensions)],
        )
        vectors, words, pgvector, postgres = cursor.fetchone()
    print(f"  index: {built_s:.0f} s", file=sys.stderr, flush=True)
    asked = ask(filled, maker, wished.questions)
    runs = []
    for contestant in contestants():
        runs.append(run(contestant, asked))
        print(" ", *runs[-1].cells(), file=sys.stderr, flush=True)
    sizes = corpus.sizes()
    walked = [found for tenant, _ in filled[:5] if (found := index.recall(tenant))]
    about = (
        f"{report.machine(f'PostgreSQL {postgres}', f'pgvector {pgvector}')}\n\n"
        f"{corpus.chunks} passages of {corpus.words} words and {corpus.dimensions} dimensions; {corpus.tenants} sites "
        f"(the largest {sizes[0]}, the median {sizes[len(sizes) // 2]}); {len(asked)} questions.\n"
        f"The index over vectors took {built_s:.0f} s and {vectors / 1e6:.0f} MB, the one over words "
        f"{words / 1e6:.0f} MB.\n"
        f"Walks of the index alone, on the five largest sites: recall@10 {fmean(each.mean for each in walked):.3f} "
        f"({sum(each.questions for each in walked)} questions of the recall monitor)."
    )
    head = ("search", "p50 ms", "p95 ms", "p95 ms, 1 %", "hit@10", "recall@10", "worst site", "1 % filter")
    return "\n\n".join((about, report.table(head, [each.cells() for each in runs])))


def main() -> None:
    """Read the arguments, measure, print; with ``--write`` also into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__)
    parser.add_argument("--chunks", type=int, default=100_000, help="passages (default: %(default)s)")
    parser.add_argument("--tenants", type=int, default=200, help="sites (default: %(default)s)")
    parser.add_argument("--dimensions", type=int, default=1536, help="of a vector (default: %(default)s)")
    parser.add_argument("--words", type=int, default=200, help="of a passage (default: %(default)s)")
    parser.add_argument("--questions", type=int, default=4, help="for each site (default: %(default)s)")
    parser.add_argument("--write", action="store_true", help="replace the figures in docs/performance.md")
    wished = parser.parse_args()
    os.environ["TEST_DATABASE_URL"] = postgres_url("search-benchmark", TUNING)
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    django.setup()
    with fresh_site():
        figures = measure(wished)
    print(figures)
    if wished.write:
        report.write(figures, marks=MARKS)


if __name__ == "__main__":
    main()
