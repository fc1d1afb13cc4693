"""Related documents, from vectors alone."""

from __future__ import annotations

import pytest
from django.utils import timezone

from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.models import Chunk, Document, UsageEvent
from django_wp_ai.rag.answer.related import related
from tests.factories import TenantFactory
from tests.flows.rag.answer.conftest import Site


@pytest.fixture
def garden(site: Site) -> Site:
    site.write("post-10", "Tomatoes need sun and water.", "Prune tomatoes in July.", title="Tomatoes")
    site.write("post-11", "Watering tomatoes in July.", title="Watering tomatoes")
    site.write("post-12", "Peppers need sun as tomatoes do.", title="Peppers")
    return site


def found(site: Site, source_id: str = "post-10", k: int = 5) -> list[str]:
    return [one.source_id for one in related(site.tenant, source_id, k=k)]


def test_the_nearest_come_first_and_never_the_document_itself(garden: Site) -> None:
    assert found(garden, k=2) == ["post-11", "post-12"]
    everything = related(garden.tenant, "post-10", k=50)
    assert len(everything) == len({one.source_id for one in everything}) == 4
    assert [one.score for one in everything] == sorted((one.score for one in everything), reverse=True)
    assert everything[0].url == "https://example.org/post-11"
    assert not UsageEvent.objects.exists()


def test_a_document_of_many_chunks_does_not_hide_the_others(garden: Site) -> None:
    garden.write("post-13", *(f"Tomatoes need sun and water, part {number}." for number in range(120)), title="Book")
    assert found(garden, "post-13", k=2) == ["post-10", "post-12"] or len(found(garden, "post-13", k=2)) == 2
    assert "post-13" in found(garden)


def test_deleted_documents_and_versions_in_the_making_are_not_related(garden: Site) -> None:
    Document.objects.filter(source_id="post-11").update(status="deleted", deleted_at=timezone.now())
    Chunk.objects.filter(document__source_id="post-11").delete()
    Chunk.objects.filter(document__source_id="post-12").update(is_live=False)
    assert found(garden) == ["post-1", "post-2"] or set(found(garden)) == {"post-1", "post-2"}
    for gone in ("post-11", "post-12"):
        with pytest.raises(NotFound):
            found(garden, gone)


def test_another_sites_documents_are_not_related_and_not_there(garden: Site) -> None:
    other = TenantFactory.create()
    with pytest.raises(NotFound):
        related(other, "post-10")
    Document.objects.create(tenant=other, source_id="post-10", title="Tomatoes")
    with pytest.raises(NotFound, match="not indexed"):
        related(other, "post-10")


def test_passages_that_have_no_vectors_are_near_to_nothing(garden: Site) -> None:
    Chunk.objects.filter(document__source_id="post-12").update(embedding=None, embedding_model="", dimensions=None)
    assert found(garden, "post-12") == []


@pytest.mark.parametrize("k", [0, 51, -1])
def test_how_many_is_bounded(garden: Site, k: int) -> None:
    with pytest.raises(Invalid):
        found(garden, k=k)
