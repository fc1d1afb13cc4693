"""Pictures of text, read by the real Tesseract."""

from __future__ import annotations

from pathlib import Path

import pytest

from django_wp_ai.rag.extract import ExtractionFailed
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.ocr import Recogniser
from tests.unit.rag.extract.files import file, read_apart, read_here

WORDS = ["Invoice number 4711", "Front wheel, 28 inches", "The total is 89 euros", "Payable within 14 days"]


@pytest.mark.parametrize("name", ["scan.png", "scan.jpg", "scan.webp", "scan.gif"])
def test_the_words_of_a_picture_are_found(name: str) -> None:
    found = read_here(f"documents/{name}")
    assert found.text.split("\n\n") == WORDS
    assert (found.pages, found.ocr_pages, found.truncated) == (None, 1, False)


def test_each_page_of_a_fax_is_read_as_far_as_pages_may_be() -> None:
    found = read_here("documents/scan.tif", ocr_max_pages=1)
    assert found.text.split("\n\n") == WORDS
    assert (found.pages, found.ocr_pages, found.unread_pages, found.truncated) == (2, 1, 1, True)


def test_only_the_pages_of_a_pdf_without_text_are_recognised() -> None:
    found = read_apart(file("documents/scan.pdf"))
    assert found.text.split("\n\n") == [*WORDS, "This page has a text layer, and needs nobody who recognises it."]
    assert (found.pages, found.ocr_pages, found.unread_pages, found.truncated) == (2, 1, 0, False)


def test_without_tesseract_the_pages_that_have_text_are_read_and_the_others_counted() -> None:
    found = read_here("documents/scan.pdf", ocr_command="no-such-program")
    assert found.text == "This page has a text layer, and needs nobody who recognises it."
    assert (found.ocr_pages, found.unread_pages, found.truncated) == (0, 1, True)


@pytest.mark.parametrize("limits", [{"ocr_command": "no-such-program"}, {"ocr_languages": ("eng", "xyz")}])
def test_a_picture_that_cannot_be_recognised_says_what_is_missing(limits: dict[str, object]) -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_here("documents/scan.png", **limits)
    assert failed.value.code == "ocr_missing"
    assert not failed.value.is_certain


def test_a_picture_without_text_is_empty() -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_here("documents/no-text.png")
    assert failed.value.code == "empty"


def test_a_failure_of_the_program_is_no_fault_of_the_file() -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_here("documents/scan.png", ocr_command="false")
    assert (failed.value.code, failed.value.is_certain) == ("extraction_failed", False)


def test_nothing_more_is_begun_when_the_time_is_over() -> None:
    assert not Recogniser(Limits(extract_timeout_s=0)).can_go_on()
    assert Recogniser(Limits(extract_timeout_s=0)).failure().code == "timeout"


def test_a_machine_that_can_not_start_the_program_says_nothing_of_the_file(tmp_path: Path) -> None:
    broken = tmp_path / "tesseract"
    broken.write_bytes(b"\x7fELF that is none")
    broken.chmod(0o700)
    with pytest.raises(ExtractionFailed) as failed:
        read_here("documents/scan.png", ocr_command=str(broken))
    assert (failed.value.code, failed.value.is_certain) == ("extraction_failed", False)
