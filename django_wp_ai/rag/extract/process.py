"""Starts the process that reads a file, waits for it, and kills it with all that it started when its time is over."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import lru_cache
from threading import BoundedSemaphore
from typing import Any

from django_wp_ai.rag.extract import sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.reading import read
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

logger = logging.getLogger("django_wp_ai.rag")

#: Texts up to here are read where they are: in a millisecond, and at worst in half a second.
INLINE_BYTES = 64 * 1024
#: What releases of PDFium before 2026 exit with that get no memory; Python has no such status.
NO_MEMORY = 127
WORKER = "django_wp_ai.rag.extract.worker"
#: Of the environment, what a program needs to run; secrets stay here.
_HANDED_ON = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TESSDATA_PREFIX", "SYSTEMROOT", "TZ")


def read_bounded(data: bytes, *, mime: str, filename: str, limits: Limits) -> Extracted:
    """Small texts here, all else in a process of its own."""
    if len(data) > limits.extract_max_bytes:
        raise ExtractionFailed("too_large", f"The file has more than {limits.extract_max_bytes} bytes.")
    kind = sniffing.sniff(data, mime=mime, filename=filename)
    if kind in sniffing.TEXTS and len(data) <= INLINE_BYTES:
        return read(data, kind=kind, mime=mime, limits=limits)
    with _slots(os.getpid(), limits.extract_processes):
        return _result(_run(data, kind=kind, mime=mime, limits=limits))


def _run(data: bytes, *, kind: str, mime: str, limits: Limits) -> dict[str, Any]:
    told = json.dumps({"kind": kind, "mime": mime[:200], "limits": asdict(limits)})
    with (
        tempfile.TemporaryDirectory(prefix="wp-ai-extract-", ignore_cleanup_errors=True) as folder,
        _started([sys.executable, "-P", "-m", WORKER, told], folder) as process,
    ):
        try:
            written, _ = process.communicate(data, timeout=limits.extract_timeout_s)
        except subprocess.TimeoutExpired as error:
            raise ExtractionFailed("timeout") from error
    if process.returncode:
        raise _ended_badly(process.returncode)
    try:
        found: dict[str, Any] = json.loads(written)
    except ValueError as error:
        raise ExtractionFailed from error
    return found


@contextlib.contextmanager
def _started(command: list[str], folder: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, which is gone afterwards."""
    environment = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    environment |= {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TMPDIR": folder, "HOME": folder}
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            if process.returncode != 0:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The whole group: the text recognition that it started, too."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _ended_badly(status: int) -> ExtractionFailed:
    """By the signal that ended it: of the time it may take, or of a parser that broke."""
    name = signal.Signals(-status).name if -status in set(signal.Signals) else ""
    if name in {"SIGXCPU", "SIGALRM"}:
        return ExtractionFailed("timeout")
    if name == "SIGABRT" or status == NO_MEMORY:  # what C++ does that gets no memory
        return ExtractionFailed("too_large", "Reading the file needs more memory than it may have.")
    logger.warning("The process that reads a file ended with status %s.", status)
    return ExtractionFailed("extraction_failed")


def _result(found: dict[str, Any]) -> Extracted:
    if "code" not in found:
        return Extracted(**found)
    if unforeseen := found.get("unforeseen"):
        logger.warning("Reading a file ended in %s.", unforeseen)
    raise ExtractionFailed(found["code"], found["detail"], is_certain=found.get("is_certain"))


@lru_cache(maxsize=8)
def _slots(_process: int, number: int) -> BoundedSemaphore:
    """So many files at once in one process; a fork has its own."""
    return BoundedSemaphore(number)
