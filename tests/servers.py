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
UVICORN = ["--host=127.0.0.1", "--port={port}", "--log-level=warning"]
COMMANDS = {
    "uvicorn": ["uvicorn", "tests.asgi:application", *UVICORN],
    "uvicorn, plain": ["uvicorn", "tests.asgi:plain", *UVICORN],  # through the whole of the host's middleware
    "gunicorn": [
        "gunicorn",
        "tests.wsgi:application",
        "--bind=127.0.0.1:{port}",
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
    port = free_port()
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "TEST_DATABASE": json.dumps({**connection.settings_dict, "NAME": str(connection.settings_dict["NAME"])}),
        "REDIS_URL": redis_url(),
        "TEST_WP_AI": json.dumps(options),
        "PYTHONPATH": str(ROOT),
    }
    command = [sys.executable, "-m", *(part.format(port=port) for part in COMMANDS[server])]
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        url = f"http://127.0.0.1:{port}"
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
