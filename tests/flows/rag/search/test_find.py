"""What a search finds, on every database: by words, by vectors, by both."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import Tenant
from django_wp_ai.rag.search import Filters, Hit, find
from tests.factories import TenantFactory
from tests.flows.rag.search.passages import MODEL, embedded, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def ask(tenant: Tenant, query: str, mode: Any = "hybrid", *, k: int = 5, **filters: Any) -> list[Hit]:
    return find(tenant, query=query, vector=embedded(query), model=MODEL, k=k, filters=Filters(**filters), mode=mode)


@pytest.fixture
def garden(tenant: Tenant) -> Tenant:
    write(tenant, "post-1", ["Tomatoes need sun and water.", "Prune tomatoes in July."], title="Tomatoes",
          post_type="post", tags=["vegetable", "summer"])  # fmt: skip
    write(tenant, "post-2", ["Roses are watered at noon."], title="Roses", post_type="post", tags=["flower"])
    write(tenant, "page-3", ["Wir liefern Rosen in ganz Bayern."], title="Lieferung", post_type="page", language="de")
    write(tenant, "page-4", ["東京の植物園は月曜日に休みです。"], title="植物園", post_type="page", language="ja")
    return tenant


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_the_passage_that_answers_comes_first(garden: Tenant, mode: str) -> None:
    first = ask(garden, "When should I prune my tomatoes?", mode)[0]

    assert (first.source_id, first.ordinal, first.title) == ("post-1", 1, "Tomatoes")
    assert first.url == "https://example.org/post-1"
    assert first.content == "Prune tomatoes in July."
    assert (first.text is None) == (mode == "vector")
    assert (first.vector is None) == (mode == "text")


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("pruning a tomato", "post-1"),
        ("Wohin liefern wir eine Rose in Bayern?", "page-3"),
        ("植物園の休み", "page-4"),
        ("園", "page-4"),
    ],
)
def test_words_are_found_in_other_forms_and_without_blanks(garden: Tenant, query: str, source: str) -> None:
    assert ask(garden, query, "text")[0].source_id == source


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
@pytest.mark.parametrize(
    ("filters", "sources"),
    [
        ({"post_types": ("page",)}, {"page-3"}),
        ({"tags": ("flower", "unknown")}, {"post-2"}),
        ({"source_ids": ("post-2", "post-9")}, {"post-2"}),
        ({"languages": ("de",)}, {"page-3"}),
        ({"post_types": ("post",), "tags": ("nothing",)}, set()),
    ],
)
def test_filters_leave_only_what_they_name(
    garden: Tenant, mode: str, filters: dict[str, Any], sources: set[str]
) -> None:
    found = {hit.source_id for hit in ask(garden, "Rosen roses", mode, **filters)}
    assert found == sources or (mode != "text" and found >= sources and "post_types" in filters)


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_another_sites_passages_are_never_found(garden: Tenant, mode: str) -> None:
    other = TenantFactory.create()
    write(other, "post-1", ["Prune tomatoes in August, says the other site."], title="Tomatoes")

    assert {hit.source_id for hit in ask(other, "prune tomatoes", mode)} == {"post-1"}
    assert [hit.content for hit in ask(other, "prune tomatoes", mode)] == [
        "Prune tomatoes in August, says the other site."
    ]
    assert not any("other site" in hit.content for hit in ask(garden, "prune tomatoes", mode, k=50))


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_another_sites_content_moves_no_score(garden: Tenant, mode: str) -> None:
    before = ask(garden, "prune tomatoes", mode)
    other = TenantFactory.create()
    write(other, "post-1", [f"Tomatoes, prune, number {n}." for n in range(20)])

    assert ask(garden, "prune tomatoes", mode) == before


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_version_that_is_being_made_is_not_found(garden: Tenant, mode: str) -> None:
    write(garden, "post-1", ["Prune tomatoes in May."], title="Tomatoes", version=2, is_live=False)
    assert "Prune tomatoes in May." not in [hit.content for hit in ask(garden, "prune tomatoes in May", mode, k=50)]


def test_vectors_of_another_model_are_not_compared(garden: Tenant) -> None:
    vector = embedded("prune tomatoes")
    none = find(garden, query="prune tomatoes", vector=vector, model="other:model", k=5, mode="vector")
    mixed = find(garden, query="prune tomatoes", vector=vector, model="other:model", k=5, mode="hybrid")

    assert none == []
    assert mixed[0].content == "Prune tomatoes in July."
    assert mixed[0].vector is None


@pytest.mark.parametrize("query", ["", "   ", "'; DROP TABLE x; --", "\\ ' : & | ! ( ) <-> *", "%s %(tenant)s {scope}",
                                   "\x00", "\ud800", "a" * 50_000, "prune " * 5000, "🌹"])  # fmt: skip
@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_any_text_may_be_asked_for(garden: Tenant, query: str, mode: str) -> None:
    ask(garden, query, mode)


def test_a_site_without_content_finds_nothing(tenant: Tenant) -> None:
    assert ask(tenant, "anything") == []


def test_copies_are_shown_once(tenant: Tenant) -> None:
    write(tenant, "post-1", ["Prune tomatoes in July, and water them well."])
    write(tenant, "post-2", ["Prune tomatoes in July, and water them well."])
    write(tenant, "post-3", ["Prune tomatoes in July and water them well!", "Prune roses in March."])

    assert [hit.content for hit in ask(tenant, "prune tomatoes July")] == [
        "Prune tomatoes in July, and water them well.",
        "Prune roses in March.",
    ]


def test_one_source_leaves_room_for_others(tenant: Tenant, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG_PER_SOURCE": 2}
    write(tenant, "post-1", [f"Prune tomatoes {word} carefully." for word in ("early", "late", "often", "never")])
    write(tenant, "post-2", ["About tomatoes and quite a number of other things that grow here."])

    found = [hit.source_id for hit in ask(tenant, "prune tomatoes", "text", k=3)]
    assert sorted(found) == ["post-1", "post-1", "post-2"]
    assert len(ask(tenant, "prune tomatoes", "text", k=5)) == 5
