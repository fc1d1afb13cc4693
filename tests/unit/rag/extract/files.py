"""The files of ``tests/data``, and limits that a test can reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django_wp_ai.rag.extract import Extracted, sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.process import read_bounded
from django_wp_ai.rag.extract.reading import read

DATA = Path(__file__).resolve().parents[3] / "data"


def file(name: str) -> bytes:
    """``documents/NAME`` or ``hostile/NAME``."""
    return (DATA / name).read_bytes()


def read_here(name: str, **limits: Any) -> Extracted:
    """Read a file in this process: of the reader, not of the bounds around it."""
    data = file(name)
    kind = sniffing.sniff(data, filename=name)
    return read(data, kind=kind, limits=Limits(**limits))


def read_apart(data: bytes, filename: str = "", mime: str = "", **limits: Any) -> Extracted:
    """Read bytes as ``extract`` does, with limits of the test's own."""
    return read_bounded(data, mime=mime, filename=filename, limits=Limits(**limits))
