"""The folder a demo lives in: whose it is, who runs on it, what it keeps."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
import time
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

MARKER = ".django-wp-ai-demo"
MARKER_TEXT = "This folder belongs to `manage.py demo`; `manage.py demo --reset` empties it.\n"
LOCK = "lock"
#: Everything a demo makes besides marker and lock. A reset removes these names and nothing else.
CONTENT = ("postgres", "postgres.new", "valkey", "logs", "secrets.json", "keys.json", "demo.json", "environment.json")
TAKEOVER_WAIT_S = 30.0


def write_private(path: Path, content: Any) -> None:
    """Write JSON that only the owner can read; a reader sees the old file or the new one, never a half."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mkstemp makes it 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> dict[str, Any]:
    """The object in ``path``; empty when the file is missing or was never finished."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


class DataDir:
    """An opened data folder; the lock is held until every process that inherited ``lock_fd`` has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().resolve()
        self.demo_json = self.path / "demo.json"
        self.keys_json = self.path / "keys.json"
        self.environment_json = self.path / "environment.json"
        self.logs = self.path / "logs"
        self.lock_fd = -1

    def open(self) -> None:
        """Make the folder if need be and lock it; raises CommandError when it is not ours or in use."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            if self._foreign_content():
                raise CommandError(
                    f"{self.path} holds other files named {', '.join(self._foreign_content())}. "
                    "Choose another folder with --data."
                )
            (self.path / MARKER).write_text(MARKER_TEXT, encoding="utf-8")
            self.lock_fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise CommandError(
                f"Can't use {self.path}: {error.strerror}. Choose another folder with --data."
            ) from error
        self._lock()

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self.lock_fd)

    def reset(self) -> None:
        """Remove what earlier demos left here; call it only with the folder opened."""
        for name in CONTENT:
            entry = self.path / name
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)

    def secrets(self) -> dict[str, str]:
        """The demo's ``SECRET_KEY`` and encryption key: made once, kept with the data they protect."""
        path = self.path / "secrets.json"
        kept = read_json(path)
        if not {"secret_key", "encryption_key"} <= kept.keys():
            kept = {
                "secret_key": secrets.token_urlsafe(50),
                "encryption_key": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
            write_private(path, kept)
        return kept

    def _foreign_content(self) -> list[str]:
        if (self.path / MARKER).exists():
            return []
        return [name for name in CONTENT if os.path.lexists(self.path / name)]

    def _lock(self) -> None:
        deadline = time.monotonic() + TAKEOVER_WAIT_S
        while not _try_lock(self.lock_fd):
            pid = _holder(self.lock_fd)
            if pid is None or _is_alive(pid) or time.monotonic() > deadline:
                who = f"process {pid}" if pid else "another process"
                raise CommandError(
                    f"A demo already runs on {self.path} ({who}). Stop it first, or choose another folder with --data."
                )
            time.sleep(0.1)  # that demo was killed; its watcher is ending what it left
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, str(os.getpid()).encode(), 0)


def is_running(path: Path) -> bool:
    """Whether a demo holds the folder now."""
    try:
        lock_fd = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(lock_fd)
    finally:
        os.close(lock_fd)


def _try_lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(lock_fd: int) -> int | None:
    content = os.pread(lock_fd, 20, 0)
    return int(content) if content.isdigit() else None


def _is_alive(pid: int) -> bool:
    import psutil  # type: ignore[import-untyped]  # its stubs are a package of their own

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
