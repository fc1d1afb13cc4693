"""The app behind real servers, in processes of their own, on the database and cache of the running test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from django.db import connection

from tests.services import redis_url

ROOT = Path(__file__).resolve().parent.parent
UVICORN = ["--fd={fd}", "--log-level=warning"]
COMMANDS = {
    "uvicorn": ["uvicorn", "tests.asgi:application", *UVICORN],
    "uvicorn, plain": ["uvicorn", "tests.asgi:plain", *UVICORN],  # through the whole of the host's middleware
    "gunicorn": [
        "gunicorn",
        "tests.wsgi:application",
        "--bind=fd://{fd}",
        "--threads=8",
        "--log-level=warning",
        "--no-control-socket",
    ],
}


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_site(server: str, options: dict[str, Any]) -> Iterator[str]:
    """The suite's project under ``uvicorn`` or ``gunicorn`` with these ``DJANGO_WP_AI`` options; gives its base URL."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE": json.dumps({**connection.settings_dict, "NAME": str(connection.settings_dict["NAME"])}),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps(options),
        "PYTHONPATH": str(ROOT),
    }
    # The server is given a socket that is bound already: a free port might be another's by the time it starts.
    with socket.create_server(("127.0.0.1", 0)) as bound:
        fd = bound.fileno()
        command = [sys.executable, "-m", *(part.format(fd=fd) for part in COMMANDS[server])]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[fd])
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    try:
        _wait_until_it_answers(process, f"{url}/wp-ai/health/live")
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def _wait_until_it_answers(process: subprocess.Popen[bytes], url: str) -> None:
    while True:
        try:
            with urlopen(url, timeout=5):
                return
        except OSError:  # refused, reset, or silent for five seconds: a loaded machine starts servers slowly
            if process.poll() is not None:
                raise RuntimeError(f"The server ended with {process.returncode}.") from None
            time.sleep(0.05)
