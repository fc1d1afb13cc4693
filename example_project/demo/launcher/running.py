"""Lets ``manage.py`` commands typed in another terminal work on the running demo's data."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from demo.launcher.data_dir import is_running, read_json, write_private

DEFAULT_DATA = Path(__file__).resolve().parent.parent.parent / "var"
#: Names the folder of the demo that was started last, wherever its ``--data`` is.
POINTER = DEFAULT_DATA / "running.json"


def announce(data: Path) -> None:
    """Make this demo the one that other commands join. Where the checkout is read-only, they can't."""
    with suppress(OSError):
        POINTER.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(POINTER, {"data": str(data)})


def withdraw(data: Path) -> None:
    """The demo on ``data`` has ended."""
    if read_json(POINTER).get("data") == str(data):
        with suppress(OSError):
            POINTER.unlink()


def join_running_demo() -> None:
    """Where neither ``SECRET_KEY`` nor ``DATABASE_URL`` is set, use the environment of a running demo, if any."""
    if os.environ.get("SECRET_KEY") or os.environ.get("DATABASE_URL"):
        return
    data = Path(read_json(POINTER).get("data", DEFAULT_DATA))
    if not is_running(data):
        return
    os.environ.update(read_json(data / "environment.json"))
    sys.stderr.write(f"Using the running demo in {data}\n")
