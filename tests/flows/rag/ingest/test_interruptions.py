"""Whatever interrupts a job, nothing is paid for twice, the newest version wins, and the old one serves until then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.exceptions import ProviderUnavailable
from django_wp_ai.jobs import attempt, claims, ending
from django_wp_ai.models import Callback, Chunk, Document, Job, Tenant
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.providers.registry import providers
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest import retention, vectors
from tests.flows.rag.ingest.conftest import VENDOR, Library, paragraphs

EARLY, LATE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
WORDS = ("harbour", "lighthouse", "market", "museum", "ferry")


class Killed(BaseException):
    """The process ends here, as far as the job can tell."""


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "BATCH", 1)


def break_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    """Let the provider raise at its n-th call of embeddings from now on, once."""
    provider, calls = providers()["openai"], iter(range(1, 1000))
    embed = provider.embed

    async def raising(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == number:
            raise error
        return await embed(*args, **kwargs)

    monkeypatch.setattr(provider, "embed", raising)


def run_again(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(run_after=datetime.now(UTC) - timedelta(minutes=1))


def test_a_job_that_was_cut_off_half_way_embeds_the_rest_only(
    library: Library, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    library.hand_in(text=paragraphs(*WORDS))
    break_at(monkeypatch, 3, ProviderUnavailable("down"))
    library.run_due()
    assert library.job().status == "queued"
    assert library.chunks() == []
    assert Chunk.objects.filter(is_live=False).count() == len(library.sent()) == 2
    run_again(library.job())
    library.run_due()
    assert library.document().status == "indexed"
    assert [chunk.ordinal for chunk in library.chunks()] == list(range(5))
    assert len(library.sent()) == len(set(library.sent())) == 5
    assert library.document().cost_usd == library.job().cost_usd


def test_a_worker_that_dies_after_the_change_over_leaves_nothing_to_be_done(library: Library) -> None:
    library.hand_in(text="Hello.")
    [claim] = claims.claim(worker="one", at_most=1)
    library.street.run(attempt.run(claim))  # its ending is never written
    assert library.document().status == "indexed"
    assert ending.give_back(claim)
    library.run_due()
    assert library.job().status == "succeeded"
    assert (library.document().version, len(library.sent())) == (1, 1)


def test_the_last_of_two_edits_serves_whichever_job_runs_last(library: Library) -> None:
    first = library.hand_in(text="The first.").job
    second = library.hand_in(text="The second.").job
    assert first is not None
    assert second is not None
    held = {claim.job.pk: claim for claim in claims.claim(worker="one", at_most=2)}
    for job in (second, first):
        assert library.street.run(attempt.run(held[job.pk])).write()
    assert [chunk.content for chunk in library.chunks()] == ["The second."]
    first.refresh_from_db()
    assert (first.status, library.document().version) == ("succeeded", 1)


def test_an_edit_while_the_first_version_is_embedded_takes_over_what_was_paid_for(
    library: Library, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    library.hand_in(text=paragraphs("harbour", "market", "museum"))
    break_at(monkeypatch, 3, ProviderUnavailable("down"))
    library.run_due()
    library.hand_in(text=paragraphs("market", "harbour", "ferry"))
    library.run_due()
    assert [chunk.heading_path[0][6:] for chunk in library.chunks()] == ["market", "harbour", "ferry"]
    assert len(library.sent()) == len(set(library.sent())) == 3
    assert not Chunk.objects.filter(is_live=False).exists()


def test_late_news_of_an_older_state_change_nothing(library: Library) -> None:
    library.index(text="New.", modified_at=LATE)
    late = library.hand_in(text="Old.", modified_at=EARLY)
    assert (late.is_outdated, late.job) == (True, None)
    library.run_due()
    assert [chunk.content for chunk in library.chunks()] == ["New."]


def test_what_was_deleted_is_not_brought_back_by_late_news(library: Library) -> None:
    document = library.index(text="Hello.", modified_at=EARLY)
    ingest.delete(library.principal, "post-1")
    assert library.chunks() == []
    assert not hasattr(Document.objects.get(pk=document.pk), "read")
    assert library.document().status == "deleted"
    assert library.site_index().revision == 2
    assert library.hand_in(text="Hello.", modified_at=LATE).is_outdated
    again = library.index(text="Hello again.")  # without a time: it is news
    assert (again.pk, again.version, again.deleted_at) == (document.pk, 2, None)


def test_an_old_deletion_does_not_take_out_what_was_written_since(library: Library) -> None:
    library.index(text="Hello.", modified_at=LATE)
    ingest.delete(library.principal, "post-1", modified_at=EARLY)
    assert library.document().status == "indexed"


def test_a_document_that_is_deleted_while_it_is_indexed_stays_deleted(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.hand_in(text="Hello.")
    [claim] = claims.claim(worker="one", at_most=1)
    provider = providers()["openai"]
    embed = provider.embed

    async def deleted_meanwhile(*args: Any, **kwargs: Any) -> Any:
        result = await embed(*args, **kwargs)
        from django_wp_ai.bridge import in_thread

        await in_thread(ingest.delete, library.principal, "post-1")
        return result

    monkeypatch.setattr(provider, "embed", deleted_meanwhile)
    assert library.street.run(attempt.run(claim)).write()
    assert library.document().status == "deleted"
    assert not Chunk.objects.exists()


def test_a_budget_that_is_used_up_fails_the_job_and_the_old_version_serves_on(library: Library) -> None:
    library.index(text="The old one.")
    Tenant.objects.filter(pk=library.tenant.pk).update(budget_day_usd=Decimal(0), budget_month_usd=Decimal(0))
    library.tenant.refresh_from_db()
    attach_budgets([library.tenant])
    accepted = library.hand_in(text="The new one.")
    library.run_due()
    assert accepted.job is not None
    accepted.job.refresh_from_db()
    if accepted.job.status == "queued":  # a budget comes back with the next day: the job waits, and then gives up
        Job.objects.filter(pk=accepted.job.pk).update(
            started_at=datetime.now(UTC) - timedelta(days=2), run_after=datetime.now(UTC) - timedelta(minutes=1)
        )
        library.run_due()
        accepted.job.refresh_from_db()
    assert (accepted.job.status, accepted.job.error_code) == ("failed", "budget_exceeded")
    document = library.document()
    assert (document.status, document.error_code) == ("failed", "budget_exceeded")
    assert [chunk.content for chunk in library.chunks()] == ["The old one."]


def test_a_failed_document_can_be_tried_again_and_an_indexed_one_indexed_anew(library: Library) -> None:
    library.tenant.denied_models = ["*"]
    library.tenant.save()
    library.hand_in(text="Hello.")
    library.run_due()
    assert library.document().error_code == "model_not_allowed"
    library.tenant.denied_models = []
    library.tenant.save()
    operator = ingest.operator_of(library.tenant)
    assert ingest.reindex(operator, [library.document()]) is not None
    library.run_due()
    assert library.document().status == "indexed"
    library.vendor.clear()
    assert ingest.reindex(operator, [library.document()]) is not None
    library.run_due()
    assert (library.document().status, library.document().version, library.sent()) == ("indexed", 2, [])


def test_a_site_with_a_callback_url_hears_of_each_document_once(library: Library) -> None:
    Tenant.objects.filter(pk=library.tenant.pk).update(callback_url="http://127.0.0.1:9/hook")
    library.tenant.refresh_from_db()
    library.index("post-1", "Hello.")
    library.hand_in("bad", data=b"\x7fELF" + bytes(200), filename="noise.txt")
    library.run_due()
    told = Callback.objects.for_tenant(library.tenant).order_by("created_at")
    assert [callback.type for callback in told] == ["document.indexed", "document.failed"]


def test_what_no_job_goes_on_with_is_forgotten_after_some_days(
    library: Library, monkeypatch: pytest.MonkeyPatch, small_batches: None
) -> None:
    library.hand_in(text=paragraphs(*WORDS))
    break_at(monkeypatch, 3, ProviderUnavailable("down"))
    library.run_due()
    later = datetime.now(UTC) + timedelta(days=8)
    assert (retention.forget_uploads(later), retention.forget_unfinished(later)) == (0, 0)
    Job.objects.update(status="failed", finished_at=datetime.now(UTC))
    assert (retention.forget_uploads(later), retention.forget_unfinished(later)) == (1, 2)


def test_an_index_whose_vectors_have_another_length_takes_none_of_a_new_one(library: Library) -> None:
    library.index(text="Hello.")
    index = library.site_index()
    index.dimensions = 3
    index.save()
    library.hand_in("post-2", "Another.")
    library.run_due()
    assert library.document("post-2").error_code == "dimensions_changed"
    assert index.embedding_model == VENDOR
