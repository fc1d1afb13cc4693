"""Celery on the same Redis-compatible server: ``python -m tests.benchmarks.celery_tasks COUNT DELAY`` hands in tasks.

It runs in an environment of its own that has Celery (``pip install "celery[redis]"``) and nothing of this project.
"""

from __future__ import annotations

import os
import sys

from celery import Celery
from redis import Redis

from tests.benchmarks.waiting_call import ask

DONE = "benchmark:done"
app = Celery("benchmark", broker=os.environ["CELERY_BROKER"])
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, task_ignore_result=True)


@app.task(name="benchmark.work")  # also where this module runs as the main one
def work(number: int, delay_s: float) -> None:
    """One task."""
    ask(number, delay_s)
    Redis.from_url(os.environ["REDIS_URL"]).incr(DONE)


def main() -> None:
    """Hand in the tasks."""
    for number in range(int(sys.argv[1])):
        work.delay(number, float(sys.argv[2]))


if __name__ == "__main__":
    main()
