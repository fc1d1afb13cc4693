"""What a file may cost: a plain record, since the process that reads it knows no settings."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The settings that begin with ``EXTRACT_`` and ``OCR_``, by their own names; documented in docs/documents.md."""

    extract_max_bytes: int = 32 * 1024 * 1024
    extract_max_unpacked_bytes: int = 128 * 1024 * 1024
    extract_max_ratio: int = 200
    extract_max_pages: int = 1000
    extract_max_pixels: int = 50_000_000
    extract_max_chars: int = 2_000_000
    extract_timeout_s: float = 240.0
    extract_memory_bytes: int = 1024 * 1024 * 1024
    extract_processes: int = 2
    ocr_max_pages: int = 50
    ocr_languages: tuple[str, ...] = ("eng",)
    ocr_command: str = "tesseract"


def current() -> Limits:
    """Those that the host has set."""
    from django_wp_ai.conf import settings

    return Limits(**{field.name: getattr(settings, field.name) for field in fields(Limits)})
