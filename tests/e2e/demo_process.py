"""``manage.py demo`` as a user starts it: a process of its own on a data folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from tests.e2e.waiting import PATIENCE_S, until

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = ROOT / "example_project" / "manage.py"
#: Variables of the machine that would make the demo another one than a newcomer's.
FOREIGN = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "OPENAI_", "ANTHROPIC_", "DJANGO_", "DEBUG", "ALLOWED_HOSTS")


def environment(**extra: str) -> dict[str, str]:
    """The environment of a newcomer's shell, with ``extra``."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return env | {"PYTHONPATH": str(ROOT)} | extra


def manage(*arguments: str, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the example project to its end."""
    return subprocess.run(
        [sys.executable, str(MANAGE), *arguments], env=environment(**extra), capture_output=True, text=True, check=False
    )


class Demo:
    """A demo on ``data``; as a context manager it is stopped at the end of the block."""

    def __init__(self, data: Path, *options: str, **extra: str) -> None:
        self.data = data
        self._out = tempfile.TemporaryFile("w+")  # noqa: SIM115 - read until the process has ended
        self.process = subprocess.Popen(
            [sys.executable, str(MANAGE), "demo", "--port", "0", "--data", str(data), *options],
            env=environment(**extra),
            stdout=self._out,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.info: dict[str, Any] = {}

    def wait(self) -> Self:
        """Wait until it answers; fails with its output when it ends instead."""
        until(self._is_announced, lambda: f"the demo says no more than this:\n{self.output}")
        self.info = json.loads((self.data / "demo.json").read_text())
        return self

    def until(self, look: Callable[[], bool]) -> None:
        """Wait for a moment of its start that may be short; fails with its output when it ends instead."""

        def is_seen() -> bool:
            assert self.process.poll() is None, self.output
            return look()

        until(is_seen, lambda: f"the demo says no more than this:\n{self.output}", every_s=0.001)

    def _is_announced(self) -> bool:
        assert self.process.poll() is None, self.output
        return "Stop with Ctrl-C" in self.output

    @property
    def output(self) -> str:
        self._out.seek(0)
        return self._out.read()

    @property
    def url(self) -> str:
        return str(self.info["base_url"])

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this demo's database and cache."""
        return manage(*arguments, **json.loads((self.data / "environment.json").read_text()))

    def family(self) -> list[psutil.Process]:
        """The demo and every process below it."""
        launcher = psutil.Process(self.process.pid)
        return [launcher, *launcher.children(recursive=True)]

    @contextmanager
    def suspended(self, name: str) -> Iterator[None]:
        """Nothing of this part of the demo runs within the block."""
        part = psutil.Process(self.info["pids"][name])
        processes = [part, *part.children(recursive=True)]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in processes:
                process.resume()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the launcher's end."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()
        self._out.close()


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; an ended one that its parent has not collected yet runs no more."""
    found = []
    for process in processes:
        try:
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def processes_naming(text: str) -> list[str]:
    """Command lines of living processes that hold ``text``."""
    lines = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if text in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            lines.append(line)
    return lines
