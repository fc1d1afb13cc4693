"""PHP: scripts that run to their end, and its own server."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.lab.programs import run, serving
from tests.e2e.waiting import until
from tests.servers import free_port

ROUTER = Path(__file__).with_name("router.php")
SETTINGS = ("-d", "sendmail_path=true")  # mail to nobody
WORKERS = "8"  # a site calls itself, and is called back while it waits for an answer
ATTEMPTS = 3


def script(path: Path, *arguments: str | Path, cwd: Path, text: str = "") -> str:
    """What a script prints when it is given ``text``."""
    return run("php", *SETTINGS, path, *arguments, cwd=cwd, text=text)


@contextmanager
def php_server(root: Path, log: Path) -> Iterator[str]:
    """Serves ``root`` on loopback; gives its base URL."""
    for _ in range(ATTEMPTS):  # a free port may be another's by the time that PHP takes it
        address = f"127.0.0.1:{free_port()}"
        command = ("php", *SETTINGS, "-S", address, "-t", root, ROUTER)
        with serving(*command, log=log, stop=signal.SIGINT, PHP_CLI_SERVER_WORKERS=WORKERS) as server:
            until(lambda: server.poll() is not None or ") started" in _said(log), lambda: f"PHP hangs: {_said(log)}")
            if server.poll() is None:
                yield f"http://{address}"
                return
    raise AssertionError(f"PHP's server does not start: {_said(log)}")


def _said(log: Path) -> str:
    return log.read_text(errors="replace")
