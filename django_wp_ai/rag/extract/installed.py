"""Which of the optional libraries and programs are here; asked without importing any."""

from __future__ import annotations

import shutil
from importlib.util import find_spec

#: Modules of the extra ``rag``.
LIBRARIES = ("charset_normalizer", "lxml", "mammoth", "pypdfium2", "striprtf")


def missing_libraries() -> list[str]:
    """Those of the extra ``rag`` that are not installed."""
    return [name for name in LIBRARIES if find_spec(name) is None]


def can_recognise(command: str) -> bool:
    """Whether the program for text recognition is there, and the library that gives it pictures."""
    return shutil.which(command) is not None and find_spec("PIL") is not None
