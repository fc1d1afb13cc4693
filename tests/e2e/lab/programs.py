"""The machine's programs: run to their end, or as a server to the end of a block."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.e2e.demo_process import living
from tests.e2e.waiting import PATIENCE_S, until

#: Where a user's PATH may not lead, and Debian puts servers.
SYSTEM_PROGRAMS = "/usr/sbin"
#: Debian's packages, as in .ci/run.
PACKAGES = "mariadb-server php-cli php-curl php-gd php-intl php-mbstring php-mysql php-xml php-zip"
GRACE_S = 10.0


def program(name: str) -> str:
    """Where this program is."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", os.defpath), SYSTEM_PROGRAMS)))
    assert found, f"{name} is missing: a real WordPress needs Debian's apt and dpkg, and its packages {PACKAGES}."
    return found


def run(name: str, *arguments: str | Path, cwd: Path, text: str = "") -> str:
    """What a program prints when it is given ``text``; fails with all it said when it does."""
    done = subprocess.run(
        [program(name), *arguments],
        cwd=cwd,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, f"{name} ended with {done.returncode}: {done.stderr}\n{done.stdout}"
    return done.stdout


@contextmanager
def serving(
    name: str, *arguments: str | Path, log: Path, stop: signal.Signals = signal.SIGKILL, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A server that says what it has to say in ``log``; at the end of the block no process of its group is left.

    A server that has processes of its own to collect gets ``stop`` first; one that only has files to save gets no time.
    """
    with log.open("wb") as out:
        server = subprocess.Popen(
            [program(name), *arguments],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield server
    finally:
        _signal(server.pid, stop)
        with suppress(subprocess.TimeoutExpired):
            server.wait(GRACE_S)
        _signal(server.pid, signal.SIGKILL)
        server.wait(PATIENCE_S)
        until(lambda: not living(_members(server.pid)), lambda: f"{name} has processes left: {_members(server.pid)}")


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _members(group: int) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(ProcessLookupError):
            if os.getpgid(process.pid) == group:
                found.append(process)
    return found
