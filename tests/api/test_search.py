"""``v1/search``: what it finds for whom, and what it refuses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.test import Client

from django_wp_ai.bridge import flow_loop
from django_wp_ai.models import Tenant
from django_wp_ai.providers import registry
from django_wp_ai.rag.search import Hit, flow
from django_wp_ai.rag.search.picking import pick
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site
from tests.api.refusals import check_shape, row_counts
from tests.factories import TenantFactory, make_credential
from tests.flows.rag.search.passages import write

PATH = "v1/search"


@pytest.fixture(autouse=True)
def offline(settings: Any) -> Iterator[None]:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {"offline": {}}, "DEFAULT_MODEL": ""}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MODEL_ALIASES": {}}
    yield
    asyncio.run_coroutine_threadsafe(registry.aclose(), flow_loop()).result()


def fill(tenant: Tenant) -> None:
    from django_wp_ai.providers.feature_hashing import vector

    for source_id, title, texts, fields in (
        ("post-1", "Tomatoes", ["Tomatoes need sun.", "Prune tomatoes in July."], {"post_type": "post", "tags": ["a"]}),
        ("page-2", "Roses", ["Roses are watered at noon."], {"post_type": "page", "tags": ["b"]}),
    ):
        write(tenant, source_id, texts, title=title, vectors=[vector(text) for text in texts], **fields)


@pytest.fixture
def filled(site: Site) -> Site:
    fill(site.tenant)
    return site


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_passages_come_with_their_source_and_scores(filled: Site, mode: str) -> None:
    response = filled.post(PATH, {"query": "When to prune tomatoes?", "k": 2, "mode": mode})

    assert response.status_code == 200, response.content
    assert set(response.json()) == {"results"}
    first = response.json()["results"][0]
    assert set(first) == {"source_id", "title", "url", "content", "ordinal", "score", "scores"}
    assert (first["source_id"], first["title"], first["ordinal"]) == ("post-1", "Tomatoes", 1)
    assert (first["url"], first["content"]) == ("https://example.org/post-1", "Prune tomatoes in July.")
    assert set(first["scores"]) == {"vector", "text"}
    assert (first["scores"]["vector"] is None) == (mode == "text")
    assert (first["scores"]["text"] is None) == (mode == "vector")
    assert [row.route for row in filled.usage()] == ([] if mode == "text" else ["search"])


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"post_type": "page"}, {"page-2"}),
        ({"tags": ["a", "c"]}, {"post-1"}),
        ({"source_ids": ["page-2"]}, {"page-2"}),
        ({"lang": "de"}, set()),
        ({"lang": "en_GB"}, {"post-1", "page-2"}),
        ({"lang": ["de-AT", "en-us"]}, {"post-1", "page-2"}),
        ({}, {"post-1", "page-2"}),
    ],
)
def test_filters_are_taken_as_one_name_or_several(filled: Site, filters: dict[str, Any], found: set[str]) -> None:
    response = filled.post(PATH, {"query": "roses and tomatoes", "filters": filters})
    assert {hit["source_id"] for hit in response.json()["results"]} == found


def test_hits_are_picked_off_the_event_loop(filled: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    on_loop = []

    def picking(hits: Sequence[Hit], k: int) -> list[Hit]:
        on_loop.append(asyncio._get_running_loop() is not None)
        return pick(hits, k)

    monkeypatch.setattr(flow, "pick", picking)
    assert filled.post(PATH, {"query": "roses", "mode": "text"}).json()["results"]
    assert on_loop == [False]


@pytest.mark.parametrize("mode", ["hybrid", "vector", "text"])
def test_a_site_finds_its_own_content_only(filled: Site, mode: str) -> None:
    other = TenantFactory.create()
    caller = Site(other, issue_site_keys(other), Client())
    body = {"query": "prune tomatoes", "mode": mode, "k": 50, "filters": {"source_ids": ["post-1", "page-2"]}}
    assert caller.post(PATH, body).json() == {"results": []}

    write(other, "post-1", ["The other site's tomatoes."])
    contents = [hit["content"] for hit in filled.post(PATH, body).json()["results"]]
    assert contents
    assert "The other site's tomatoes." not in contents


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query"),
        ({"query": ""}, "query"),
        ({"query": "   "}, "query"),
        ({"query": 7}, "query"),
        ({"query": "x" * 4001}, "query"),
        ({"query": "x", "k": 0}, "k"),
        ({"query": "x", "k": 51}, "k"),
        ({"query": "x", "k": "8"}, "k"),
        ({"query": "x", "mode": "both"}, "mode"),
        ({"query": "x", "filters": {"tenant": "site-1"}}, "filters.tenant"),
        ({"query": "x", "filters": {"tags": ["t"] * 101}}, "filters.tags"),
        ({"query": "x", "filters": {"tags": [5]}}, "filters.tags"),
        ({"query": "x", "tenant": "site-1"}, "tenant"),
    ],
)
def test_what_it_can_not_mean_is_refused_by_its_field(site: Site, body: dict[str, Any], field: str) -> None:
    before = row_counts()
    refused = check_shape(site.post(PATH, body), PATH, 422, "invalid")
    assert {error["field"] for error in refused["errors"]} <= {field, f"{field}.0"}
    assert row_counts() == before


def test_the_scope_to_read_content_is_needed_and_enough(filled: Site) -> None:
    for scopes, status in ((["chat", "embeddings", "rag.write"], 403), (["rag.read"], 200)):
        issued = make_credential("api_key", tenant=filled.tenant, scopes=scopes)
        for mode in ("hybrid", "text"):
            headers = {"Authorization": f"Bearer {issued.secret}"}
            assert filled.post(PATH, {"query": "roses", "mode": mode}, headers=headers).status_code == status
    check_shape(filled.post(PATH, {"query": "roses"}, headers={}), PATH, 401, "unauthenticated")


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_searches_count_in_the_sites_rates(filled: Site, mode: str) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=2)
    left = [filled.post(PATH, {"query": "roses", "mode": mode}) for _ in range(2)]
    assert ["r=1" in left[0]["RateLimit"], "r=0" in left[1]["RateLimit"]] == [True, True]

    refused = filled.post(PATH, {"query": "roses", "mode": mode})
    check_shape(refused, PATH, 429, "rate_limited")
    assert int(refused["Retry-After"]) > 0


def test_a_limit_of_the_route_is_kept(filled: Site) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(routes={"search": {"rpm": 1}})
    assert filled.post(PATH, {"query": "roses", "mode": "text"}).status_code == 200
    check_shape(filled.post(PATH, {"query": "roses", "mode": "text"}), PATH, 429, "rate_limited")


def test_a_host_without_retrieval_has_no_search(filled: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG": False}
    check_shape(filled.post(PATH, {"query": "roses"}), PATH, 404, "not_found")


async def backwards(query: str, hits: Sequence[Hit]) -> list[float]:
    return [-hit.score for hit in hits]


async def too_few(query: str, hits: Sequence[Hit]) -> list[float]:
    return [1.0]


async def not_numbers(query: str, hits: Sequence[Hit]) -> list[float]:
    return [float("nan") for _ in hits]


async def never(query: str, hits: Sequence[Hit]) -> list[float]:
    await asyncio.Event().wait()
    return []


async def broken(query: str, hits: Sequence[Hit]) -> list[float]:
    raise RuntimeError("the model is not loaded")


def order(site: Site) -> list[str]:
    response = site.post(PATH, {"query": "prune tomatoes", "mode": "text"})
    return [hit["content"] for hit in response.json()["results"]]


def test_the_hosts_reranker_decides_the_order(filled: Site, settings: Any) -> None:
    plain = order(filled)
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG_RERANKER": f"{__name__}.backwards"}
    assert order(filled) == plain[::-1]
    assert len(plain) == 2


@pytest.mark.parametrize("name", ["too_few", "not_numbers", "never", "broken", "nowhere"])
def test_a_reranker_that_fails_changes_nothing_but_the_log(
    filled: Site, settings: Any, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    plain = order(filled)
    options = {"RAG_RERANKER": f"{__name__}.{name}", "RAG_RERANK_TIMEOUT_S": 0.05}
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}
    assert order(filled) == plain
    assert "RAG_RERANKER" in caplog.text
