"""The demo's child processes: one group, watched, so that none outlives the launcher."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from django.core.management.base import CommandError

POLITE_S = 10.0
LOG_TAIL_LINES = 12


class ChildDied(CommandError):
    """A child ended by itself; the message carries the end of its log."""


class Children:
    """Starts children in the watcher's process group and stops them in the reverse order."""

    def __init__(self, *, logs: Path, lock_fd: int) -> None:
        """``lock_fd`` is inherited by the watcher: the data folder stays locked until it has cleaned up."""
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        launcher_end, self._launcher_alive = os.pipe()
        # Every descendant inherits the writing end, so the reading end closes when the last one is gone.
        self._children_gone, self._children_alive = os.pipe()
        self._watcher = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                str(Path(__file__).with_name("watcher.py")),
                str(launcher_end),
                str(self._children_gone),
            ],
            pass_fds=(launcher_end, self._children_gone, lock_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        os.close(launcher_end)

    def start(
        self,
        name: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        user: str | None = None,
        pass_fds: Sequence[int] = (),
    ) -> subprocess.Popen[bytes]:
        """Start ``command`` with its output in ``logs/<name>.log``."""
        with (self._logs / f"{name}.log").open("wb") as log:
            child = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                user=user,
                group=_group_of(user),
                extra_groups=[] if user else None,
                pass_fds=(*pass_fds, self._children_alive),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=self._watcher.pid,
            )
        self._running[name] = child
        return child

    def run(
        self, name: str, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, user: str | None = None
    ) -> None:
        """Start ``command`` and wait for its success; raises ChildDied."""
        child = self.start(name, command, env=env, cwd=cwd, user=user)
        status = child.wait()
        del self._running[name]
        if status != 0:
            raise self._died(name, status)

    def check(self) -> None:
        """Raise ChildDied when one has ended."""
        for name, child in self._running.items():
            if (status := child.poll()) is not None:
                raise self._died(name, status)
        if self._watcher.poll() is not None:
            raise ChildDied("The demo's watcher has ended, so the demo stops too.")

    def pids(self) -> dict[str, int]:
        """Process ids by name."""
        return {name: child.pid for name, child in self._running.items()}

    def stop(self, *, order: Sequence[Sequence[str]]) -> None:
        """End everything: the names of each step at once, step after step, then whatever is left of the group."""
        for step in order:
            children = {name: self._running[name] for name in step if name in self._running}
            for name, child in children.items():
                # PostgreSQL's SIGINT is the shutdown that neither waits for clients nor loses data.
                child.send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
            deadline = time.monotonic() + POLITE_S
            for child in children.values():
                with suppress(subprocess.TimeoutExpired):
                    child.wait(timeout=max(deadline - time.monotonic(), 0.1))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._watcher.pid, signal.SIGKILL)
        self._watcher.wait()
        for child in self._running.values():
            child.wait()
        self._running.clear()
        os.close(self._children_alive)
        select.select([self._children_gone], [], [], POLITE_S)  # PostgreSQL's own children notice its end by themselves

    def _died(self, name: str, status: int) -> ChildDied:
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        log = self._logs / f"{name}.log"
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return ChildDied("\n  ".join([f"{name} {how}. The end of {log}:", *tail]))


def _group_of(user: str | None) -> int | None:
    if user is None:
        return None
    import pwd

    return pwd.getpwnam(user).pw_gid
