"""A site moves to another embedding model: the old vectors serve until all new ones are there."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.jobs import attempt, claims
from django_wp_ai.models import Chunk, Job
from django_wp_ai.providers.registry import providers
from django_wp_ai.rag import ingest
from django_wp_ai.rag.embedding import serving_model
from tests.flows.rag.ingest.conftest import OFFLINE, VENDOR, Library, paragraphs, set_model


def models(library: Library) -> set[tuple[str, int | None]]:
    """By which model the serving vectors are, and how long."""
    live = Chunk.objects.for_tenant(library.tenant).live()
    return set(live.exclude(embedding=None).values_list("embedding_model", "dimensions"))


def test_nothing_is_begun_while_the_wanted_model_serves(library: Library) -> None:
    assert ingest.start_reembed(library.tenant) is None
    library.index(text="Hello.")
    assert ingest.start_reembed(library.tenant) is None
    assert ingest.start_due() == 0


def test_all_vectors_change_places_at_once(library: Library) -> None:
    library.index("post-1", paragraphs("harbour", "market"))
    library.index("post-2", "Hello.")
    set_model(library.tenant, OFFLINE)
    assert serving_model(library.tenant) == VENDOR
    assert ingest.start_due() == 1
    assert ingest.start_due() == 0  # one at a time
    library.run_due()
    assert models(library) == {(OFFLINE, 2048)}
    index = library.site_index()
    assert (index.embedding_model, index.dimensions, index.next_embedding_model) == (OFFLINE, 2048, "")
    assert index.revision == 3
    assert not Chunk.objects.exclude(next_embedding=None).exists()
    assert serving_model(library.tenant) == OFFLINE


def test_documents_that_come_meanwhile_are_embedded_by_both(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    library.index("post-1", "The first.")
    set_model(library.tenant, OFFLINE)
    job = ingest.start_reembed(library.tenant)
    assert job is not None
    [claim] = claims.claim(worker="one", at_most=1)
    provider = providers()["offline"]
    embed, came = provider.embed, []

    async def while_another_comes(*args: Any, **kwargs: Any) -> Any:
        from django_wp_ai.bridge import in_thread

        if not came:
            came.append(await in_thread(library.hand_in, "post-2", "The second."))
            [other] = await in_thread(claims.claim, worker="two", at_most=1)
            ended = await attempt.run(other)
            await in_thread(ended.write)
        return await embed(*args, **kwargs)

    monkeypatch.setattr(provider, "embed", while_another_comes)
    assert library.street.run(attempt.run(claim)).write()
    assert library.document("post-2").status == "indexed"
    assert models(library) == {(OFFLINE, 2048)}
    assert len(library.sent()) == 2  # both by the model that served


def test_a_version_that_was_being_made_when_the_model_changed_is_made_by_the_new_one(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.index("post-1", "The first.")
    set_model(library.tenant, OFFLINE)
    library.hand_in("post-2", "The second.")
    [claim] = claims.claim(worker="one", at_most=1)
    provider = providers()["openai"]
    embed = provider.embed

    async def while_the_model_changes(*args: Any, **kwargs: Any) -> Any:
        from django_wp_ai.bridge import in_thread

        result = await embed(*args, **kwargs)
        await in_thread(ingest.start_reembed, library.tenant)
        [other] = await in_thread(claims.claim, worker="two", at_most=1)
        ended = await attempt.run(other)
        await in_thread(ended.write)
        return result

    monkeypatch.setattr(provider, "embed", while_the_model_changes)
    assert library.street.run(attempt.run(claim)).write()
    assert library.document("post-2").status == "indexed"
    assert models(library) == {(OFFLINE, 2048)}
    assert Chunk.objects.for_tenant(library.tenant).count() == 2


def test_a_model_that_is_wanted_no_more_is_not_moved_to(library: Library) -> None:
    library.index(text="Hello.")
    set_model(library.tenant, OFFLINE)
    job = ingest.start_reembed(library.tenant)
    set_model(library.tenant, VENDOR)
    library.run_due()
    assert job is not None
    assert Job.objects.get(pk=job.pk).status == "succeeded"
    assert models(library) == {(VENDOR, 1536)}
    assert library.site_index().embedding_model == VENDOR


def test_a_site_without_a_model_to_move_to_stops_no_other(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    library.index(text="Hello.")
    set_model(library.tenant, "nobody:x")
    assert ingest.start_due() == 0
    assert "has no model to go on with" in caplog.text
