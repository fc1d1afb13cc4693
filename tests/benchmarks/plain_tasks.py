"""Plain django-q2: ``python -m tests.benchmarks.plain_tasks COUNT DELAY`` hands in so many tasks."""

from __future__ import annotations

import os
import sys

from tests.benchmarks.waiting_call import ask

DONE = "benchmark:done"


def work(number: int, delay_s: float) -> None:
    """One task."""
    from redis import Redis

    ask(number, delay_s)
    Redis.from_url(os.environ["REDIS_URL"]).incr(DONE)


def main() -> None:
    """Hand in the tasks."""
    import django

    django.setup()
    from django_q.brokers import get_broker
    from django_q.tasks import async_task

    broker = get_broker()
    for number in range(int(sys.argv[1])):
        async_task("tests.benchmarks.plain_tasks.work", number, float(sys.argv[2]), broker=broker)


if __name__ == "__main__":
    main()
