"""What was read from a file is kept for its tenant, and forgotten when nobody uses it."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai import tasks
from django_wp_ai.models import Extraction
from django_wp_ai.rag.extract import ExtractionFailed, cached
from django_wp_ai.rag.extract.cached import extract_cached, extractor, forget_unused
from django_wp_ai.rag.extract.limits import Limits, current
from tests.factories import TenantFactory
from tests.unit.rag.extract.files import file

pytestmark = pytest.mark.django_db
PDF = file("documents/text.pdf")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the files that were read and not only looked up."""
    read: list[int] = []
    extract = cached.extract

    def counted(data: bytes, **hints: Any) -> Any:
        read.append(len(data))
        return extract(data, **hints)

    monkeypatch.setattr(cached, "extract", counted)
    return read


def test_a_file_is_read_once_and_then_looked_up(reads: list[int]) -> None:
    tenant = TenantFactory.create()
    first = extract_cached(tenant, PDF, filename="a.pdf")
    assert extract_cached(tenant, PDF, filename="b.pdf") == first
    assert first.text.startswith("# Repairs")
    assert len(reads) == 1


def test_no_tenant_is_given_what_another_one_handed_in(reads: list[int]) -> None:
    for _ in range(2):
        extract_cached(TenantFactory.create(), PDF)
    assert len(reads) == 2
    assert Extraction.objects.count() == 2


def test_what_will_fail_again_is_kept_and_what_may_not_is_tried_again(reads: list[int], settings: Any) -> None:
    tenant = TenantFactory.create()
    for _ in range(2):
        with pytest.raises(ExtractionFailed, match="password") as failed:
            extract_cached(tenant, file("documents/encrypted.pdf"))
        assert failed.value.code == "encrypted"
    assert len(reads) == 1
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "EXTRACT_MAX_PAGES": 1}
    for _ in range(2):
        with pytest.raises(ExtractionFailed, match="2 pages, more than 1"):
            extract_cached(tenant, PDF)
    assert len(reads) == 3


def test_texts_are_read_each_time_and_kept_nowhere(reads: list[int]) -> None:
    for hint in ("text/csv", "text/plain"):
        assert extract_cached(TenantFactory.create(), b"a,b\n1,2", mime=hint).mime == hint
    assert len(reads) == 2
    assert not Extraction.objects.exists()


def test_a_file_beyond_the_bounds_is_refused_before_anything(reads: list[int], settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "EXTRACT_MAX_BYTES": 10}
    with pytest.raises(ExtractionFailed, match="more than 10 bytes") as failed:
        extract_cached(TenantFactory.create(), PDF)
    assert failed.value.code == "too_large"
    assert not Extraction.objects.exists()


def test_a_file_is_read_anew_when_more_can_be_read_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = extractor(current())
    assert now == extractor(Limits())
    assert len(now) <= 64
    assert extractor(Limits(ocr_languages=("eng", "deu"))) != now
    assert extractor(Limits(extract_max_chars=5)) != now
    monkeypatch.setattr(shutil, "which", lambda _: None)
    assert extractor(current()) != now


def test_two_that_read_the_same_file_at_once_keep_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = TenantFactory.create()
    extract = cached.extract

    def overtaken(data: bytes, **hints: Any) -> Any:
        monkeypatch.setattr(cached, "extract", extract)
        extract_cached(tenant, data)
        return extract(data, **hints)

    monkeypatch.setattr(cached, "extract", overtaken)
    assert extract_cached(tenant, PDF).pages == 2
    assert Extraction.objects.for_tenant(tenant).count() == 1


def test_what_nobody_used_is_forgotten_and_what_is_used_stays(reads: list[int]) -> None:
    tenant, old = TenantFactory.create(), timezone.now() - timedelta(days=91)
    extract_cached(tenant, PDF)
    for number in range(3):
        Extraction.objects.create(tenant=tenant, sha256=f"{number}", extractor="x", used_at=old)
    Extraction.objects.filter(extractor=extractor(current())).update(used_at=old)
    extract_cached(tenant, PDF)  # is a use
    assert tasks.tidy()["extractions"] == 3
    assert [row.result["pages"] for row in Extraction.objects.all()] == [2]
    assert len(reads) == 1


def test_much_is_forgotten_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cached, "DELETED_AT_ONCE", 2)
    tenant, now = TenantFactory.create(), timezone.now()
    for number in range(5):
        Extraction.objects.create(tenant=tenant, sha256=f"{number}", extractor="x", used_at=now - timedelta(days=99))
    assert forget_unused(now, at_most=3) == 4
    assert forget_unused(now) == 1
    assert forget_unused(now) == 0
