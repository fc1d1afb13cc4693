"""Text recognition by Tesseract, a program of its own, page by page within a budget of pages and time."""

from __future__ import annotations

import io
import os
import subprocess
import time
from typing import Any

from django_wp_ai.rag.extract.decoding import clean
from django_wp_ai.rag.extract.installed import can_recognise
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.lines import without_gaps
from django_wp_ai.rag.extract.result import ExtractionFailed

#: Part of the time for a file that recognition may take, so that what was read can still be handed over.
SHARE = 0.75
_NO_LANGUAGE = "Failed loading language"


class Recogniser:
    """Recognises pages as long as it may; ``pages`` are those that it did."""

    def __init__(self, limits: Limits) -> None:
        self.pages = 0
        self._limits = limits
        self._until = time.monotonic() + SHARE * limits.extract_timeout_s
        self._is_installed = can_recognise(limits.ocr_command)
        self._is_out_of_time = False

    def can_go_on(self) -> bool:
        """Whether one more page may be recognised."""
        self._is_out_of_time = self._is_out_of_time or time.monotonic() >= self._until
        return self._is_installed and self.pages < self._limits.ocr_max_pages and not self._is_out_of_time

    def failure(self) -> ExtractionFailed:
        """Why nothing was recognised."""
        return ExtractionFailed("timeout" if self._is_installed else "ocr_missing")

    def text_of(self, image: Any) -> str | None:
        """The lines of a picture (Pillow's); empty lines part paragraphs. None when the time ended before.

        Raises ``ocr_missing`` for a language that is not installed, though the program goes on without it.
        """
        picture = io.BytesIO()
        image.save(picture, "PNG", compress_level=1)
        command = [self._limits.ocr_command, "stdin", "stdout", "-l", "+".join(self._limits.ocr_languages)]
        try:
            done = subprocess.run(
                command,
                input=picture.getvalue(),
                capture_output=True,
                check=False,
                timeout=max(0.1, self._until - time.monotonic()),
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            )
        except subprocess.TimeoutExpired:
            self._is_out_of_time = True
            return None
        except OSError as error:  # the machine's state, which says nothing of the file
            raise ExtractionFailed("extraction_failed", "Text recognition could not be started.") from error
        said = done.stderr.decode("utf-8", "replace")
        if done.returncode or _NO_LANGUAGE in said:
            raise self._failed(said)
        self.pages += 1
        return without_gaps(clean(done.stdout.decode("utf-8", "replace")))

    def _failed(self, said: str) -> ExtractionFailed:
        if _NO_LANGUAGE in said:
            languages = ", ".join(self._limits.ocr_languages)
            return ExtractionFailed("ocr_missing", f"Text recognition lacks one of these languages: {languages}.")
        return ExtractionFailed("extraction_failed", "Text recognition failed on a page.")
