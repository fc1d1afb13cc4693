"""``manage.py qcluster`` in real processes, on the database and cache of the running test."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]


class Cluster:
    """One running cluster in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    @property
    def log(self) -> str:
        """What its processes have said so far."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[int]:
        """The processes that run jobs, oldest first."""
        begun = re.findall(r"ready for work at (\d+)", self.log)
        return [int(pid) for pid in begun if psutil.pid_exists(int(pid)) and _is_alive(int(pid))]

    def ask_to_stop(self) -> None:
        """As systemd and Docker do."""
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """Ask it to stop, and wait; its exit status."""
        self.ask_to_stop()
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; its exit status."""
        return self._process.wait()

    def behead(self) -> None:
        """Kill all but the workers."""
        workers = self.workers()
        whole = psutil.Process(self._process.pid)
        for process in (whole, *whole.children(recursive=True)):
            if process.pid not in workers:
                process.kill()
        self._process.wait()

    def kill(self) -> None:
        """End all of its processes at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running_cluster(
    options: dict[str, Any], *, workers: int = 1, broker: dict[str, Any] | None = None
) -> Iterator[Cluster]:
    """A cluster with these ``DJANGO_WP_AI`` options and these of ``Q_CLUSTER``; killed when the block ends."""
    with tempfile.TemporaryDirectory(prefix="wpai-cluster-") as folder:
        log = Path(folder) / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "django", "qcluster"],
                cwd=ROOT,
                env=environment(options, workers=workers, broker=broker),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        cluster = Cluster(process, log)
        try:
            yield cluster
        finally:
            cluster.kill()
            sys.stdout.write(cluster.log)  # pytest shows it where the test failed


def environment(options: dict[str, Any], *, workers: int = 1, broker: dict[str, Any] | None = None) -> dict[str, str]:
    """Of a process on the test's database and cache that knows the kinds of ``tests.load.site``."""
    from django.db import connection

    from tests.services import redis_url

    database = {**connection.settings_dict, "NAME": str(connection.settings_dict["NAME"]), "CONN_MAX_AGE": 60}
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.load.settings",
        "PYTHONPATH": str(ROOT),
        "TEST_DATABASE": json.dumps(database),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps(options),
        "TEST_Q_CLUSTER": json.dumps({"workers": workers, **(broker or {})}),
    }
