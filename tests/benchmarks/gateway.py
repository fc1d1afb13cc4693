"""``python -m tests.benchmarks.gateway``: what the app adds to a vendor's answer, measured side by side in one run.

Everything is set up and taken down by itself: PostgreSQL (with its durable defaults) and Valkey, a database migrated
from nothing, the vendor stand-in and the app in processes of their own, and LiteLLM's proxy where it is installed.
Nothing is asserted about time.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import django

from tests.benchmarks import calls, held, litellm, report
from tests.benchmarks.load import Plan, once, run
from tests.benchmarks.report import Row
from tests.benchmarks.servers import Cores, Server, app, vendor
from tests.services import postgres_url

if TYPE_CHECKING:  # models can't be imported before Django is set up
    from django_wp_ai.security.issue import Issued

VENDOR, LIVE, BARE, FULL = "vendor stand-in", "app, health/live", "app, bare", "app, full"
LITELLM = "LiteLLM's proxy"
PACED = "delay=0.3 pause=0.05"  # about the pace of a quick model: a first delta after 0.3 s, then 20 a second


@dataclass
class Bench:
    """The runs so far, and how long each is."""

    seconds: float
    connections: list[int]
    rows: list[Row] = field(default_factory=list)

    def measure(
        self, name: str, mode: str, server: Server, request: calls.Request, connections: int, *, at_least_s: float = 0
    ) -> int:
        """Load a server and keep what it did; how many requests it answered, warm-up included."""
        print(f"  {name}, {mode}, connections: {connections}", file=sys.stderr, flush=True)
        seconds = max(self.seconds, at_least_s)
        warm_up_s = max(1.0, seconds / 4)
        plan = Plan(server.port, request, first=b"" if mode == "-" else calls.FIRST)
        once(plan)
        begun_at, cpu_s = time.perf_counter(), server.cpu_s
        sample = run(plan, connections=connections, warm_up_s=warm_up_s, seconds=seconds)
        cpu_s, elapsed_s = server.cpu_s - cpu_s, time.perf_counter() - begun_at
        cpu_percent, cpu_ms = 100 * cpu_s / elapsed_s, 1000 * cpu_s / sample.sent
        self.rows.append(Row(name, mode, connections, sample, cpu_percent, cpu_ms, server.rss_mb))
        return sample.sent + 1

    def measure_chat(self, name: str, server: Server, request: Any) -> int:
        """Whole and streamed at every number of connections, then streams at a model's pace."""
        sent = 0
        for mode, stream in (("whole", False), ("streamed", True)):
            for connections in self.connections:
                sent += self.measure(name, mode, server, request(stream=stream), connections)
        paced = request(stream=True, pace=PACED)
        return sent + self.measure(name, "streamed, paced", server, paced, max(self.connections), at_least_s=6)


@contextmanager
def fresh_site() -> Iterator[Issued]:
    """A migrated database of its own with one tenant whose every limit is set, and its HMAC key."""
    from django.db import connection

    from django_wp_ai.security.issue import issue
    from tests.factories import TenantFactory

    original = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        limits = {"rpm": 10**8, "rpd": 10**8, "tpm": 2 * 10**9, "budget_day_usd": 10**6, "budget_month_usd": 10**6}
        yield issue(TenantFactory.create(**limits), kind="hmac")
    finally:
        connection.creation.destroy_test_db(original, verbosity=0)


def check_ledger(expected: int) -> str:
    """Every call of the full path must have left one settled row with a price."""
    from django_wp_ai.models import UsageEvent

    priced = UsageEvent.objects.filter(state="settled", cost_usd__gt=0, estimated=False).count()
    if priced != expected or UsageEvent.objects.count() != expected:
        raise RuntimeError(f"{expected} calls left {UsageEvent.objects.count()} rows, {priced} of them settled.")
    return f"{expected} calls of the full path left {priced} settled and priced usage rows."


def measure(bench: Bench, cores: Cores, issued: Issued, *, streams: int, litellm_at: str | None) -> str:
    """All runs; gives the report."""
    with vendor() as stand_in:
        options = {
            "PROVIDERS": {"openai": {"api_key": "vendor-key", "base_url": f"http://127.0.0.1:{stand_in.port}/v1"}},
            "CREDENTIAL_CACHE_S": 0.5,
            "PROVIDER_MAX_CONNECTIONS": max(200, streams + held.FIRST_ONES),
        }

        def full(**wishes: Any) -> calls.Request:
            return calls.full(issued, **wishes)

        bench.measure_chat(VENDOR, stand_in, calls.direct)
        beside = measure_litellm(bench, cores, stand_in, litellm_at)
        with app(cores, options) as site:
            for connections in bench.connections:
                bench.measure(LIVE, "-", site, calls.live, connections)
            bench.measure_chat(BARE, site, calls.bare)
        with app(cores, options) as site:
            sent = bench.measure_chat(FULL, site, full)
            ledger = check_ledger(sent)
        with app(cores, options) as site:  # a fresh one: memory that was used before would be used again
            once(Plan(site.port, full(stream=True)))
            memory = held.measure(site, stand_in, full(stream=True, pace="hold"), streams=streams)
    if litellm_at:
        beside += " " + report.against(bench.rows, ours=FULL, theirs=LITELLM)
    return "\n\n".join(
        (report.machine(str(cores)), report.tables(bench.rows, base=VENDOR), beside, str(memory), ledger)
    )


def measure_litellm(bench: Bench, cores: Cores, stand_in: Server, executable: str | None) -> str:
    """The same calls through LiteLLM's proxy; what was measured, or that it was not."""
    if executable is None:
        return f"{LITELLM} was not measured: no `litellm` was found (`--litellm PATH` names one)."

    def keyed(**wishes: Any) -> calls.Request:
        return calls.direct(key=litellm.KEY, **wishes)

    with litellm.proxy(executable, cores, stand_in.port) as proxy:
        bench.measure_chat(LITELLM, proxy, keyed)
    return f"{LITELLM} is {litellm.version(executable)}, one worker, key authentication, without a database."


def numbers(text: str) -> list[int]:
    """Whole numbers with commas between them."""
    return [int(number) for number in text.split(",")]


def main() -> None:
    """Read the arguments, measure, print; with ``--write`` also into the documentation."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gateway", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each run (default: %(default)s)")
    parser.add_argument("--connections", type=numbers, default=[1, 10, 50], help="comma-separated (default: 1,10,50)")
    parser.add_argument("--streams", type=int, default=500, help="held open at once for memory (default: %(default)s)")
    parser.add_argument("--litellm", default="", help="the executable (default: LITELLM, or `litellm` on the path)")
    parser.add_argument("--write", action="store_true", help="replace the figures in docs/performance.md")
    wished = parser.parse_args()
    if wished.seconds <= 0 or wished.streams < 1 or min(wished.connections) < 1:
        parser.error("seconds, streams and connections must be positive")
    try:
        litellm_at = litellm.find(wished.litellm)
    except FileNotFoundError as error:
        parser.error(str(error))
    cores = Cores()
    cores.pin_rest()
    os.environ["TEST_DATABASE_URL"] = postgres_url("benchmarks", "")
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    django.setup()
    with fresh_site() as issued:
        bench = Bench(wished.seconds, wished.connections)
        figures = measure(bench, cores, issued, streams=wished.streams, litellm_at=litellm_at)
    print(figures)
    if wished.write:
        report.write(figures)


if __name__ == "__main__":
    main()
