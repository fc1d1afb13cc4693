"""A real WordPress on loopback, as Debian has it: sites of their own, side by side."""

from __future__ import annotations

import json
import secrets
import shutil
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.e2e.lab.debian import wordpress_files
from tests.e2e.lab.mariadb import DATABASE, USER, mariadb
from tests.e2e.lab.php import php_server, script

CALLS = Path(__file__).with_name("wordpress.php")
LAB = Path(__file__).with_name("lab")
KEYS = tuple(f"{use}_{kind}" for use in ("AUTH", "SECURE_AUTH", "LOGGED_IN", "NONCE") for kind in ("KEY", "SALT"))


class WordPress:
    """A site as it is after its installation; servers, tables and files go at the end of the block.

    ``suite`` is Debian's: sid has WordPress 7.1 or newer, trixie 6.8, bookworm 6.1. The first user is admin, whose
    password is "password".
    """

    def __init__(self, *, suite: str = "sid") -> None:
        self._suite = suite
        self._running = ExitStack()
        self.url = self.version = ""
        #: What the server serves; the site's own, to write plugins and themes to.
        self.root = Path()

    def call(self, *calls: tuple[Any, ...]) -> list[Any]:
        """Call functions of WordPress as its first user, each as (name, argument, …); what they return."""
        return list(json.loads(self._script(CALLS, json.dumps(calls))))

    def public(self) -> dict[str, str]:
        """The addresses of what every visitor may read, by source id, as the database has them."""
        return dict(self.call(("public_addresses",))[0])

    def __enter__(self) -> Self:
        with ExitStack() as starting:
            folder = Path(starting.enter_context(TemporaryDirectory(prefix="wordpress-")))
            self.root = folder / "site"
            shutil.copytree(wordpress_files(self._suite), self.root)
            shutil.copy(LAB / "wp-config.php", self.root)
            database = starting.enter_context(mariadb(folder / "mariadb"))
            self.url = starting.enter_context(php_server(self.root, folder / "php.log"))
            (folder / "constants.json").write_text(json.dumps(_constants(self.url, database, self._debug_log)))
            self.version = self._script(LAB / "install.php")
            self._expect_answer()
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def _script(self, path: Path, text: str = "") -> str:
        try:
            return script(path, self.root, cwd=self.root, text=text)
        except AssertionError as error:
            error.add_note(self._log())
            raise

    def _expect_answer(self) -> None:
        reply = httpx2.get(f"{self.url}/wp-json/", timeout=60)
        assert reply.status_code == 200, f"WordPress does not answer: {reply.text}\n{self._log()}"
        assert reply.json()["url"] == self.url

    @property
    def _debug_log(self) -> Path:
        return self.root.parent / "debug.log"

    def _log(self) -> str:
        log = self._debug_log
        return "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log.exists() else ""


def _constants(url: str, database: Path, log: Path) -> dict[str, Any]:
    """What wp-config.php defines."""
    return {
        "DB_NAME": DATABASE,
        "DB_USER": USER,
        "DB_PASSWORD": "",
        "DB_HOST": f"localhost:{database}",
        "DB_CHARSET": "utf8mb4",
        "DB_COLLATE": "",
        **{name: secrets.token_hex(32) for name in KEYS},
        "WP_HOME": url,
        "WP_SITEURL": url,
        "WP_ENVIRONMENT_TYPE": "local",  # application passwords without TLS
        "WP_DEBUG": True,
        "WP_DEBUG_LOG": str(log),
        "WP_DEBUG_DISPLAY": False,
        "WP_HTTP_BLOCK_EXTERNAL": True,
        "DISABLE_WP_CRON": True,
        "AUTOMATIC_UPDATER_DISABLED": True,
    }
