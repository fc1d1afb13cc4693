"""A MariaDB of one's own: no other can meet its tables, and they end with its folder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.lab.programs import run, serving
from tests.e2e.waiting import until

DATABASE, USER = "wordpress", "root"  # who has no password: the socket is for those who may enter the folder


@contextmanager
def mariadb(folder: Path) -> Iterator[Path]:
    """A server of one empty database, with its files in the new ``folder``; gives its socket."""
    folder.mkdir()
    listening, log, data = folder / "socket", folder / "mariadb.log", folder / "data"
    create = folder / "create.sql"
    create.write_text(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;\n")
    options = ["--no-defaults", f"--user={os.getuid()}", f"--datadir={data}", "--innodb-log-file-size=8M"]
    run("mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db", cwd=folder)
    options += ["--skip-networking", f"--socket={listening}", f"--init-file={create}"]
    fast = ["--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0", "--skip-log-bin"]
    with serving("mariadbd", *options, *fast, log=log) as server:

        def greets() -> bool:
            assert server.poll() is None, f"MariaDB ended: {log.read_text(errors='replace')}"
            return _greets(listening)

        until(greets, lambda: f"MariaDB does not answer: {log.read_text(errors='replace')}")
        yield listening


def _greets(listening: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        try:
            client.connect(str(listening))
            return bool(client.recv(1))
        except (FileNotFoundError, ConnectionError, TimeoutError):
            return False
