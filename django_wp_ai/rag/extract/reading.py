"""From bytes whose sort is known to text, in this process. Only small texts are read so where others are served."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module

from django_wp_ai.rag.extract import sniffing
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.result import Extracted, ExtractionFailed

Reader = Callable[..., Extracted]
MAX_TITLE_CHARS = 500  # what a document keeps of it

_MODULES = {
    **dict.fromkeys(sniffing.TEXTS, "texts"),
    **dict.fromkeys(sniffing.IMAGES, "images"),
    sniffing.PDF: "pdf",
    sniffing.RTF: "rtf",
    sniffing.ZIP: "packed",
}


def read(data: bytes, *, kind: str, mime: str = "", limits: Limits) -> Extracted:
    """What ``sniffing.sniff`` found to be ``kind``. Raises ``ExtractionFailed``, for want of text as well."""
    reader: Reader = import_module(f"django_wp_ai.rag.extract.readers.{_MODULES[kind]}").read
    try:
        found = reader(data, kind=kind, mime=mime, limits=limits)
    except ImportError as error:
        extra = "ocr" if error.name and error.name.startswith("PIL") else "rag"
        detail = f"Reading {kind} needs: pip install 'django-wp-ai[{extra}]'"
        raise ExtractionFailed("extra_missing", detail) from error
    except RecursionError as error:
        raise ExtractionFailed("damaged", "The file's parts stand in each other too deeply.") from error
    if not found.text.strip():
        raise ExtractionFailed("empty")
    found = replace(found, title=found.title[:MAX_TITLE_CHARS])
    if len(found.text) > limits.extract_max_chars:
        return replace(found, text=found.text[: limits.extract_max_chars], truncated=True)
    return found
