"""What reading a file ends in: its text, or a documented error."""

from __future__ import annotations

from dataclasses import dataclass

from django_wp_ai.exceptions import WpAiError

#: Names the code that reads. Another name, and files that were read before are read anew: see ``cached``.
EXTRACTOR = "1"

#: Every code with the sentence that is shown when there is none of its own.
CODES = {
    "damaged": "The file is damaged, or not made as its format asks for.",
    "empty": "There is no text in the file.",
    "encrypted": "The file is protected by a password.",
    "extra_missing": "A library that reads this sort of file is not installed.",
    "extraction_failed": "The process that read the file ended without an answer.",
    "ocr_missing": "The file holds images of text, and text recognition is not installed.",
    "timeout": "Reading the file took too long.",
    "too_large": "The file is larger than is read here.",
    "too_many_pages": "The file has more pages than are read here.",
    "unsupported_media": "Files of this sort are not read.",
}
#: Of the file itself: these will be the same the next time, whatever is installed or set.
CERTAIN = frozenset({"damaged", "empty", "encrypted", "unsupported_media"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """``text`` is Markdown; ``mime`` is what the bytes are. ``pages`` is None where the format has none.

    ``truncated``: there is more text than was kept, or pages were left unread: ``unread_pages`` of them, which hold
    images and no text.
    """

    text: str
    title: str = ""
    mime: str = ""
    pages: int | None = None
    ocr_pages: int = 0
    unread_pages: int = 0
    truncated: bool = False


class ExtractionFailed(WpAiError):
    """A file can't be read; ``code`` is a key of ``CODES``, and ``detail`` is safe to show."""

    code = "extraction_failed"
    status = 422
    title = "The file can't be read"

    def __init__(self, code: str = "extraction_failed", detail: str = "", *, is_certain: bool | None = None) -> None:
        super().__init__(detail or CODES[code])
        self.code = code  # type: ignore[misc]  # of this one error
        self.is_certain = code in CERTAIN if is_certain is None else is_certain
