"""A file's bytes as Markdown: the type is read from the bytes, all is bounded, parsers run in a process apart.

This package and all it imports at first know nothing of Django: the process that parses starts without it.
"""

from __future__ import annotations

from django_wp_ai.rag.extract.result import EXTRACTOR, Extracted, ExtractionFailed

__all__ = ["EXTRACTOR", "Extracted", "ExtractionFailed", "extract"]


def extract(data: bytes, *, mime: str = "", filename: str = "") -> Extracted:
    """The text of a file, as Markdown; blocks until it is read. Safe to call from any thread.

    ``mime`` and ``filename`` are hints, and only tell one sort of text from another (CSV, Markdown) and its encoding.
    Raises ``ExtractionFailed``, whose ``code`` is one of ``result.CODES``.
    """
    from django_wp_ai.rag.extract.limits import current
    from django_wp_ai.rag.extract.process import read_bounded

    return read_bounded(data, mime=mime, filename=filename, limits=current())
