"""News that come twice, late, or at the same moment: what is newest stands, and what is promised to end ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError

from django_wp_ai.exceptions import NotFound
from django_wp_ai.jobs import claims, ending, payload
from django_wp_ai.models import Document, DocumentText, Job
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest import revision, swapping
from django_wp_ai.rag.ingest.sets import intake
from django_wp_ai.rag.kinds.sync import _is_pulled
from django_wp_ai.rag.sources.base import SourceDocument
from tests.flows.rag.ingest.conftest import Library, paragraphs

FIRST, SECOND, THIRD = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3))


def test_a_change_over_that_the_database_took_back_is_made_again(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index(text=paragraphs("harbour"))
    written, failures = swapping.save_all, iter([OperationalError("deadlock detected")])

    def broken_once(*args: Any) -> None:
        written(*args)
        for failure in failures:
            raise failure

    monkeypatch.setattr(swapping, "save_all", broken_once)
    library.index(text=paragraphs("market"))
    assert "market" in library.chunks()[0].content
    assert library.result()["indexed"] == 1


def test_what_is_under_way_is_not_indexed_anew_from_what_was(library: Library) -> None:
    document = library.index(text="The old words stand here.")
    library.hand_in(text="The new words stand here.")
    assert ingest.reindex(library.principal, [document]) is None
    library.run_due()
    assert "new words" in library.chunks()[0].content


def test_a_document_that_failed_is_tried_again_with_what_came_last(library: Library) -> None:
    library.index(text="The old words stand here.", title="Old")
    library.hand_in(text="[[status=400]] The new words stand here.", title="New")
    library.run_due()
    document = library.document()
    assert (document.status, document.title) == ("failed", "Old")
    upload = document.uploads.get()
    upload.body = b"The new words stand here."
    upload.save()
    assert ingest.reindex(library.principal, [document]) is not None
    library.run_due()
    assert (library.document().status, library.document().title) == ("indexed", "New")


def test_a_second_deletion_moves_the_tombstone_to_its_time(library: Library) -> None:
    library.index(modified_at=FIRST)
    ingest.delete(library.principal, "post-1", modified_at=FIRST)
    with pytest.raises(NotFound):
        ingest.delete(library.principal, "post-1", modified_at=THIRD)
    assert library.hand_in(text="Back again?", modified_at=SECOND).is_outdated


def test_news_that_a_deletion_has_overtaken_brings_nothing_in(library: Library) -> None:
    with pytest.raises(NotFound):
        ingest.delete(library.principal, "post-1", modified_at=SECOND)
    assert library.hand_in(text="The first words stand here.", modified_at=FIRST).is_outdated
    library.run_due()
    assert not Document.objects.for_tenant(library.tenant).living().exists()
    library.hand_in(text="The third words stand here.", modified_at=THIRD)
    library.run_due()
    assert library.document().status == "indexed"


def test_a_deletion_without_a_time_keeps_no_trace_of_what_was_never_there(library: Library) -> None:
    with pytest.raises(NotFound):
        ingest.delete(library.principal, "post-1")
    assert not Document.objects.for_tenant(library.tenant).exists()


def test_what_is_known_already_and_under_way_gets_the_time_of_its_last_news(library: Library) -> None:
    library.hand_in(text="The same words stand here.", modified_at=FIRST)
    library.hand_in(text="The same words stand here.", modified_at=THIRD)
    assert library.document().modified_at == THIRD
    assert library.hand_in(text="Other words stand here.", modified_at=SECOND).is_outdated


def test_the_index_is_locked_before_passages_go(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.index(text=paragraphs("harbour"))
    seen: list[int] = []

    def noting(tenant: Any) -> Any:
        seen.append(len(library.chunks()))
        return revision.bump(tenant)

    monkeypatch.setattr("django_wp_ai.rag.ingest.deleting.bump", noting)
    ingest.delete(library.principal, "post-1")
    assert seen == [1]
    assert library.chunks() == []


@pytest.mark.parametrize("told", [{"documents": "?"}, {"documents": [{}]}, {}, []])
def test_an_input_that_is_not_understood_keeps_no_job_from_ending(library: Library, told: Any) -> None:
    library.hand_in()
    Job.objects.update(input_sealed=payload.seal(told))
    [claim] = claims.claim(worker="worker", at_most=1)
    assert ending.fail(claim, code="invalid", message="It is of another version.")
    assert (library.job().status, library.document().status) == ("failed", "failed")


def test_edits_are_never_taken_for_what_was_done_lately(library: Library, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOB_DEDUPE_S": 600}
    given = {"file_url": "http://127.0.0.1:8099/a.pdf"}
    first, second = (library.hand_in(**given).job for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.pk != second.pk


def test_a_post_without_words_is_not_fetched_as_a_page(library: Library) -> None:
    taken = intake(library.principal, [SourceDocument(source_id="post-1", url="https://example.org/empty/")])
    assert taken.counts["refused"] == 1
    assert not Document.objects.exists()


def test_files_of_a_site_are_each_fetched_by_a_job_of_their_own(library: Library) -> None:
    library.tenant.callback_hosts = ["127.0.0.1"]
    files = [
        SourceDocument(source_id=f"attachment-{number}", url=f"http://127.0.0.1:9/{number}.pdf", filename="a.pdf")
        for number in range(3)
    ]
    assert intake(library.principal, files).counts["queued"] == 3
    assert Job.objects.filter(kind="ingest").count() == 3


@pytest.mark.parametrize(
    ("name", "is_pulled"),
    [("post-12", True), ("12", False), ("post-12a", False), ("post-²", False), ("my-post-1", False)],
)
def test_a_sync_takes_out_only_what_bears_its_names(name: str, *, is_pulled: bool) -> None:
    assert _is_pulled(name, "post") is is_pulled


def test_a_text_is_kept_for_each_version(library: Library) -> None:
    library.index(text="One.")
    library.index(text="Two.")
    assert [kept.text for kept in DocumentText.objects.all()] == ["Two."]
