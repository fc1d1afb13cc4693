"""A real WordPress on loopback: Debian's newest, started by the lab that lies beside this project."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.e2e.demo_process import ROOT
from tests.e2e.waiting import PATIENCE_S
from tests.servers import free_port

LAB = ROOT.parent / "shared" / "lab" / "wordpress-up"
SCRIPT = Path(__file__).with_name("wordpress.php")
EXTRA = """<?php
$table_prefix = '{prefix}';  // sites that are tested share one database
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);
"""


class WordPress:
    """A site as it is after its installation; server, tables and files go at the end of the block."""

    def __init__(self, *, suite: str = "sid") -> None:
        self._suite = suite
        self._kept = TemporaryDirectory(prefix="wordpress-")
        self._folder = Path(self._kept.name)
        self.url = self.version = ""

    def call(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Call functions of WordPress as its first user, each as (name, argument, …); what they return."""
        command = ["php", str(SCRIPT), str(self._folder / "usr/share/wordpress")]
        told = json.dumps(calls)
        done = subprocess.run(
            command, input=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=self._folder
        )
        assert done.returncode == 0, f"WordPress failed: {done.stderr}\n{done.stdout}\n{self._log()}"
        return list(json.loads(done.stdout))

    def public(self) -> dict[str, str]:
        """The addresses of what every visitor may read, by source id, as the database has them."""
        return dict(self.call(("public_addresses",))[0])

    def __enter__(self) -> Self:
        assert LAB.exists(), f"{LAB} is missing: it starts the WordPress that this test is about."
        (self._folder / "wp-config-extra.php").write_text(EXTRA.format(prefix=f"wp_{secrets.token_hex(4)}_"))
        for _ in range(3):  # a free port may be another's by the time that PHP takes it
            port = free_port()
            said = self._start(port)
            if self._answers(f"http://127.0.0.1:{port}"):
                self.url, self.version = f"http://127.0.0.1:{port}", said.split(" at ")[0]
                return self
            self._stop()
        raise AssertionError(f"WordPress does not answer: {said}\n{self._log()}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        self.call(("drop_tables",))
        self._kept.cleanup()

    def _start(self, port: int) -> str:
        command = [str(LAB), self._suite, str(port), str(self._folder)]
        said = self._folder / "wordpress-up.log"
        with said.open("w+") as out:  # no pipe: the server that stays behind would keep it open
            done = subprocess.run(command, stdout=out, stderr=out, timeout=2 * PATIENCE_S, check=False)
        assert done.returncode == 0, f"{LAB.name} failed: {said.read_text()}"
        return said.read_text().strip().splitlines()[-1]

    def _answers(self, url: str) -> bool:
        try:
            return bool(httpx2.get(f"{url}/wp-json/", timeout=60).json()["url"] == url)
        except (httpx2.HTTPError, ValueError, LookupError):
            return False

    def _stop(self) -> None:
        """End the server with its workers, which outlive it."""
        with suppress(FileNotFoundError, ProcessLookupError):
            os.killpg(int((self._folder / "php.pid").read_text()), signal.SIGTERM)

    def _log(self) -> str:
        log = self._folder / "debug.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""
