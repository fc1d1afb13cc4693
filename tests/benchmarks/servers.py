"""What the benchmark runs on: a database and a cache of its own, and servers in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
from django.db import connection

from tests.servers import free_port
from tests.services import redis_url

ROOT = Path(__file__).resolve().parents[2]
#: As the example project has it.
DATABASE_OPTIONS = {"pool": {"min_size": 1, "max_size": 20, "timeout": 10}, "prepare_threshold": 2}


class Cores:
    """One core for the server under test, another one for all that it is measured with; none where that can't be."""

    def __init__(self) -> None:
        usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
        self.tested: int | None = usable[0] if usable else None
        self.rest: int | None = usable[-1] if usable else None

    def pin_rest(self) -> None:
        """This process and whatever it starts from now on."""
        if self.rest is not None:
            os.sched_setaffinity(0, {self.rest})

    def pin_tested(self, pid: int) -> None:
        """A process that has just begun, so that its threads follow."""
        if self.tested is not None:
            os.sched_setaffinity(pid, {self.tested})

    def __str__(self) -> str:
        if self.tested is None:
            return "not pinned: this system can't"
        shared = "the same one" if self.tested == self.rest else f"core {self.rest}"
        return f"server under test on core {self.tested}; stand-in, load, database and cache on {shared}"


class Server:
    """A running process and what it takes."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.port = port
        self._process = process
        self._observed = psutil.Process(process.pid)

    @property
    def rss_mb(self) -> float:
        """Resident memory in MB."""
        return float(self._observed.memory_info().rss) / 1e6

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, the kernel's for it included."""
        times = self._observed.cpu_times()
        return float(times.user + times.system)


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], cores: Cores | None, *, stdout: int = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=stdout, text=True)
    if cores is not None:
        cores.pin_tested(process.pid)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


@contextmanager
def serving(
    command: list[str], environment: dict[str, str], cores: Cores, *, port: int, alive: str
) -> Iterator[Server]:
    """A server under test on the tested core, once it answers at the path ``alive``."""
    with _running(command, environment, cores) as process:
        while not _answers(f"http://127.0.0.1:{port}{alive}"):
            if process.poll() is not None:
                raise RuntimeError(f"{command[0]} ended with {process.returncode}.")
            time.sleep(0.1)
        yield Server(process, port)


@contextmanager
def vendor() -> Iterator[Server]:
    """The vendor stand-in."""
    with _running([sys.executable, "-m", "tests.vendor"], dict(os.environ), None, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Server(process, int(line.rsplit(":", 1)[1]))


@contextmanager
def app(cores: Cores, options: dict[str, Any]) -> Iterator[Server]:
    """The site under test under uvicorn, with these ``DJANGO_WP_AI`` options, on the tested core."""
    port = free_port()
    database = {**connection.settings_dict, "OPTIONS": DATABASE_OPTIONS}
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.benchmarks.settings",
        "TEST_DATABASE": json.dumps(database),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps(options),
    }
    command = [
        sys.executable,
        "-m",
        "uvicorn",
        "tests.benchmarks.asgi:application",
        f"--port={port}",
        "--log-level=warning",
    ]
    with serving(command, os.environ | environment, cores, port=port, alive="/wp-ai/health/live") as server:
        yield server


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5):
            return True
    except (URLError, ConnectionError):
        return False
