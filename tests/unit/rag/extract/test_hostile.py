"""Each hostile file ends in its documented error, within its bounds, and the caller lives."""

from __future__ import annotations

import sys

import pytest

from django_wp_ai.rag.extract import ExtractionFailed
from django_wp_ai.rag.extract.limits import Limits
from django_wp_ai.rag.extract.result import CODES
from django_wp_ai.rag.extract.sniffing import sniff
from django_wp_ai.rag.extract.worker import answer
from tests.unit.rag.extract.files import DATA, file, read_apart

MIB = 1024 * 1024
#: Bounds that these files reach soon.
TIGHT = {"extract_memory_bytes": 400 * MIB, "extract_max_pixels": 500_000, "extract_timeout_s": 120}

ERRORS = {
    "blank.txt": "empty",
    "bomb.docx": "too_large",
    "deep.docx": "damaged",
    "empty.pdf": "empty",
    "endless-objects.pdf": "empty",
    "entity.docx": "damaged",
    "huge-page.pdf": "empty",
    "laughs.docx": "damaged",
    "laughs.odt": "damaged",
    "loop.tif": "damaged",
    "lying-size.docx": "damaged",
    "no-document.docx": "unsupported_media",
    "old.doc": "unsupported_media",
    "pixels.png": "too_large",
    "polyglot.gif": "damaged",
    "program.pdf": "unsupported_media",
    "ratio.docx": "too_large",
    "table-loop.pdf": "empty",
    "truncated.docx": "damaged",
    "truncated.pdf": "damaged",
    "truncated.png": "damaged",
}
READ = {
    "broken-xref.pdf": "# Repairs",
    "deep.rtf": "words",
    "nulls.txt": "Words with",
    "page.txt": "Words of a page.",
    "polyglot.pdf": "# Repairs",
    "surrogates-utf-8.txt": "höher",
    "surrogates.txt": "before",
}
ELSEWHERE = {"stream-bomb.pdf"}


def test_no_file_is_forgotten() -> None:
    assert {path.name for path in (DATA / "hostile").iterdir()} == {*ERRORS, *READ, *ELSEWHERE}


@pytest.mark.parametrize("name", ERRORS)
def test_a_hostile_file_ends_in_its_documented_error(name: str) -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_apart(file(f"hostile/{name}"), name, **TIGHT)
    assert failed.value.code == ERRORS[name]
    assert failed.value.code in CODES
    assert failed.value.detail
    assert "/" not in failed.value.detail.replace("text/", "").replace("image/", "")  # no path of ours, none of theirs


@pytest.mark.parametrize("name", READ)
def test_a_strange_file_that_can_be_read_is_read(name: str) -> None:
    assert read_apart(file(f"hostile/{name}"), name, **TIGHT).text.startswith(READ[name])


def test_what_a_document_type_names_is_not_fetched() -> None:
    with pytest.raises(ExtractionFailed, match="document type"):
        read_apart(file("hostile/entity.docx"), **TIGHT)


def test_a_stream_that_unpacks_to_too_much_ends_with_its_memory() -> None:
    with pytest.raises(ExtractionFailed, match="more memory") as failed:
        read_apart(file("hostile/stream-bomb.pdf"), extract_memory_bytes=160 * MIB)
    assert failed.value.code == "too_large"
    assert not failed.value.is_certain


@pytest.mark.parametrize(
    ("name", "limits", "code"),
    [
        ("documents/text.pdf", {"extract_max_bytes": 100}, "too_large"),
        ("documents/handbook.docx", {"extract_max_unpacked_bytes": 10_000}, "too_large"),
        ("documents/scan.png", {"extract_max_pixels": 1000}, "too_large"),
        ("documents/pages-300.pdf", {"extract_max_pages": 10}, "too_many_pages"),
        ("documents/scan.tif", {"extract_max_pages": 1}, "too_many_pages"),
    ],
)
def test_each_bound_has_its_error(name: str, limits: dict[str, int], code: str) -> None:
    with pytest.raises(ExtractionFailed) as failed:
        read_apart(file(name), **limits)
    assert failed.value.code == code


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of files that end early
@pytest.mark.parametrize("name", ["text.pdf", "handbook.docx", "handbook.odt", "scan.webp", "scan.tif", "scan.jpg"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_half_a_file_is_read_or_told_to_be_damaged(name: str, part: float) -> None:
    data = file(f"documents/{name}")[: int(part * len(file(f"documents/{name}")))]
    limits = Limits(ocr_command="no-such-program")
    found = answer(data, kind=sniff(data), mime="", limits=limits)
    assert found.get("code") in {None, "damaged", "ocr_missing", "empty"}
    assert "unforeseen" not in found


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("name", [name for name in ERRORS if name.endswith((".docx", ".odt", ".png", ".gif", ".tif"))])
def test_it_is_the_reader_that_says_so_and_not_what_bounds_it(name: str) -> None:
    data = file(f"hostile/{name}")
    found = answer(data, kind=sniff(data), mime="", limits=Limits(**TIGHT))
    assert found["code"] == ERRORS[name]
    assert "unforeseen" not in found


def test_without_the_library_for_pictures_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = answer(file("documents/scan.png"), kind="image/png", mime="", limits=Limits())
    assert found["code"] == "extra_missing"
    assert "django-wp-ai[ocr]" in found["detail"]
