"""``v1/ask`` and ``v1/related``: bodies, streams, refusals, and whose content it is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.test import Client

from django_wp_ai.bridge import flow_loop
from django_wp_ai.models import Tenant
from django_wp_ai.providers import registry
from django_wp_ai.providers.feature_hashing import vector
from django_wp_ai.providers.offline import EMBEDDING_MODEL
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, body_of, events, options
from tests.api.refusals import check_shape, row_counts
from tests.factories import TenantFactory, make_credential
from tests.flows.rag.search.passages import write
from tests.servers import running_site
from tests.vendor.running import RunningVendor

PATH = "v1/ask"
QUOTE = "Our shop opens at nine in the morning"
ASKED = "When does the shop open?"
GOOD = {"question": f'{ASKED} [[say=At nine [1 "{QUOTE}"], not at ten [2].]]'}
OFF_TOPIC = {"question": "Who painted the Mona Lisa?"}


@pytest.fixture(autouse=True)
def embeddings(settings: Any, providers: None) -> Iterator[None]:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "EMBEDDING_MODEL": f"offline:{EMBEDDING_MODEL}"}
    yield
    asyncio.run_coroutine_threadsafe(registry.aclose(), flow_loop()).result()


def fill(tenant: Tenant, *, opening: str = QUOTE) -> None:
    for source_id, title, content in (
        ("post-1", "Opening hours", f"{opening} and closes at six."),
        ("docs/parking.md", "Parking", "Parking is free for guests of the shop."),
    ):
        vectors = [vector(f"{title}\n{content}")]
        write(tenant, source_id, [content], title=title, vectors=vectors, embedding_model=f"offline:{EMBEDDING_MODEL}")


@pytest.fixture
def filled(site: Site) -> Site:
    fill(site.tenant)
    return site


@pytest.fixture
def other(filled: Site) -> Site:
    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), Client())


def test_a_whole_answer_has_the_documented_shape(filled: Site) -> None:
    response = filled.post(PATH, GOOD)
    assert response.status_code == 200, response.content
    body = response.json()
    assert set(body) == {"answer", "supported", "citations", "usage", "cached"}
    assert (body["answer"], body["supported"], body["cached"]) == ("At nine [1], not at ten.", True, False)
    (citation,) = body["citations"]
    assert set(citation) == {"n", "source_id", "title", "url", "quote", "score"}
    assert (citation["n"], citation["source_id"], citation["quote"]) == (1, "post-1", QUOTE)
    assert body["usage"]["cost_usd"] > 0
    assert [row.route for row in filled.usage()] == ["search", "ask"]


def test_what_has_no_answer_costs_nothing_and_says_so(filled: Site, vendor: RunningVendor) -> None:
    body = filled.post(PATH, OFF_TOPIC).json()
    assert not body["supported"]
    assert body["citations"] == []
    assert body["answer"] == "The content of this site does not answer this question."
    assert body["usage"]["cost_usd"] == 0
    assert [row.route for row in filled.usage()] == ["search"]
    assert vendor.requests == []


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_what_no_model_is_asked_tells_of_the_limits_of_its_search(filled: Site, mode: str) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=3)
    for stream, left in ((False, "r=2"), (True, "r=1")):
        reply = filled.post(PATH, {**OFF_TOPIC, "stream": stream, "mode": mode})
        assert left in reply["RateLimit"]
        assert "q=3" in reply["RateLimit-Policy"]
        if stream:
            body_of(reply)


def test_a_stream_names_its_sources_first_and_its_citations_last(filled: Site) -> None:
    response = filled.post(PATH, {**GOOD, "stream": True})
    assert response["Content-Type"].startswith("text/event-stream")
    found = events(body_of(response))
    assert [event.name for event in found[:2]] == ["sources", "start"]
    assert [source["n"] for source in found[0].data["sources"]] == [1, 2]
    assert set(found[0].data["sources"][0]) == {"n", "source_id", "title", "url", "score"}
    assert "".join(event.data["delta"] for event in found if not event.name and event.data != "[DONE]") == (
        "At nine [1], not at ten."
    )
    done, last = found[-2:]
    assert (done.name, last.data) == ("done", "[DONE]")
    assert done.data["supported"]
    assert done.data["finish_reason"] == "stop"
    assert [citation["quote"] for citation in done.data["citations"]] == [QUOTE]
    assert done.data["usage"]["cost_usd"] > 0


@pytest.mark.django_db(transaction=True)
def test_an_asgi_server_streams_the_same(vendor: RunningVendor) -> None:
    tenant = TenantFactory.create()
    fill(tenant)
    key = issue_site_keys(tenant).api_key.secret
    with running_site("uvicorn", {**options(vendor.url), "EMBEDDING_MODEL": f"offline:{EMBEDDING_MODEL}"}) as url:
        body = json.dumps({**GOOD, "stream": True}).encode()
        headers = {"Content-Type": "application/json", "X-API-Key": key}
        with urlopen(Request(f"{url}/wp-ai/{PATH}", body, headers)) as reply:
            found = events(reply.read())
    assert [event.name for event in found if event.name] == ["sources", "start", "done"]
    assert found[-2].data["citations"][0]["quote"] == QUOTE


def test_a_stream_without_an_answer_has_no_sources_and_no_model(filled: Site) -> None:
    found = events(body_of(filled.post(PATH, {**OFF_TOPIC, "stream": True})))
    assert [event.name for event in found] == ["sources", "start", "", "done", ""]
    assert found[0].data == {"sources": []}
    assert found[1].data["id"].startswith("chat_")
    assert (found[1].data["model"], found[1].data["provider"]) == ("", "")
    assert not found[3].data["supported"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_before_the_first_token_is_an_http_error(filled: Site, stream: bool) -> None:
    refused = filled.post(PATH, {"question": f"{ASKED} [[status=500]]", "stream": stream})
    check_shape(refused, PATH, 502, "provider_error")
    Tenant.objects.filter(pk=filled.tenant.pk).update(routes={"ask": {"rpm": 1}})
    filled.post(PATH, {"question": ASKED})
    check_shape(filled.post(PATH, {"question": ASKED, "stream": stream}), PATH, 429, "rate_limited")


@pytest.mark.parametrize("mode", ["hybrid", "text"])
def test_an_answer_that_the_limits_refuse_spends_nothing(filled: Site, mode: str) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=1)
    refused = filled.post(PATH, {**GOOD, "mode": mode})
    told = check_shape(refused, PATH, 429, "rate_limited")
    assert told["detail"].startswith("This call alone is more than the limit allows: 1 requests in 60 s")
    assert ("r=1" in refused["RateLimit"], refused["Retry-After"]) == (True, "60")
    assert filled.usage() == []
    assert filled.post("v1/search", {"query": ASKED}).status_code == 200
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=2)
    again = filled.post(PATH, {**GOOD, "mode": mode})
    assert (again.status_code, "r=1" in again["RateLimit"]) == (429, True)
    assert again.json()["detail"].startswith("The limit is used up: 2 requests in 60 s")
    assert 0 < int(again["Retry-After"]) <= 60
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=None, routes={"search": {"rpm": 9}, "ask": {"rpm": 1}})
    assert [filled.post(PATH, {**GOOD, "mode": mode}).status_code for _ in range(2)] == [200, 429]
    assert [row.route for row in filled.usage()].count("search") == (1 if mode == "text" else 2)


def test_a_stream_that_breaks_off_ends_with_its_error(filled: Site) -> None:
    found = events(body_of(filled.post(PATH, {"question": f"{ASKED} [[chunks=9 error_after=3]]", "stream": True})))
    assert [event.name for event in found if event.name] == ["sources", "start", "error"]
    assert found[-2].data["code"] == "provider_error"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \n"}, "question"),
        ({"question": 7}, "question"),
        ({"question": "x" * 4001}, "question"),
        ({"question": "x", "k": 0}, "k"),
        ({"question": "x", "k": 51}, "k"),
        ({"question": "x", "mode": "both"}, "mode"),
        ({"question": "x", "stream": "yes"}, "stream"),
        ({"question": "x", "filters": {"tenant": "a"}}, "filters.tenant"),
        ({"question": "x", "tools": ["lookup"]}, "tools"),
        ({"question": "x", "system": "Obey."}, "system"),
        ({"question": "x", "conversation_id": "support"}, "conversation_id"),
    ],
)
def test_what_it_can_not_mean_is_refused_by_its_field(site: Site, body: dict[str, Any], field: str) -> None:
    before = row_counts()
    refused = check_shape(site.post(PATH, body), PATH, 422, "invalid")
    assert any(error["field"].startswith(field) for error in refused["errors"])
    assert row_counts() == before


def test_the_scope_to_read_content_is_needed_and_enough(filled: Site) -> None:
    for scopes, status in ((["chat", "embeddings", "rag.write"], 403), (["rag.read"], 200)):
        key = make_credential("api_key", tenant=filled.tenant, scopes=scopes).secret
        headers = {"Authorization": f"Bearer {key}"}
        assert filled.post(PATH, GOOD, headers=headers).status_code == status
        assert filled.get("v1/related/post-1", headers=headers).status_code == status
    for response in (filled.post(PATH, GOOD, headers={}), filled.get("v1/related/post-1", headers={})):
        check_shape(response, PATH, 401, "unauthenticated")


def test_a_visitors_browser_asks_once_with_a_stream_token(filled: Site) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(origins=["https://site.example"])
    token = filled.post("v1/stream-tokens", {"scope": "rag.read"}).json()
    assert token["url"].endswith("/v1/ask")
    headers = {"Authorization": f"Bearer {token['token']}", "Origin": "https://site.example"}
    asked = filled.post(PATH, {**GOOD, "stream": True}, headers=headers)
    assert asked["Access-Control-Allow-Origin"] == "https://site.example"
    assert b"event: sources" in body_of(asked)
    check_shape(filled.post(PATH, GOOD, headers=headers), PATH, 401, "unauthenticated")
    of_chat = filled.post("v1/stream-tokens", {"scope": "chat"}).json()["token"]
    check_shape(filled.post(PATH, GOOD, headers={"Authorization": f"Bearer {of_chat}"}), PATH, 403, "forbidden")


def test_a_site_is_answered_from_its_own_content_only(filled: Site, other: Site) -> None:
    body = other.post(PATH, {**GOOD, "filters": {"source_ids": ["post-1"]}}).json()
    assert not body["supported"]
    fill(other.tenant, opening="Our boutique opens at noon")
    assert not other.post(PATH, GOOD).json()["supported"]  # the quote is another site's
    assert filled.post(PATH, GOOD).json()["supported"]
    check_shape(TenantlessSite(filled).get("v1/related/post-1"), PATH, 401, "unauthenticated")


class TenantlessSite(Site):
    """A caller without a key."""

    def __init__(self, site: Site) -> None:
        super().__init__(site.tenant, site.keys, site.client)

    @property
    def auth(self) -> dict[str, str]:
        return {}


def test_a_conversation_goes_on(filled: Site) -> None:
    asked = {**GOOD, "conversation_id": "new", "metadata": {"end_user": "ada", "plugin": "faq"}}
    first = filled.post(PATH, asked).json()
    again = filled.post(PATH, {**asked, "question": "And on Sundays?", "conversation_id": first["conversation_id"]})
    assert again.json()["conversation_id"] == first["conversation_id"]
    assert {(row.end_user, row.plugin) for row in filled.usage() if row.route == "ask"} == {("ada", "faq")}


def test_the_same_key_gets_the_same_answer_again(filled: Site, vendor: RunningVendor) -> None:
    headers = {**filled.auth, "Idempotency-Key": "ask-1"}
    for stream in (False, True):
        headers["Idempotency-Key"] = f"ask-{stream}"
        bodies = []
        for _ in range(2):
            reply = filled.post(PATH, {**GOOD, "stream": stream}, headers=headers)
            bodies.append(body_of(reply) if reply.streaming else reply.content)
        assert bodies[0] == bodies[1]
        assert reply["Idempotency-Replayed"] == "true"
    assert len(vendor.requests) == 2


def test_related_documents_are_asked_for_as_often_as_a_site_may(filled: Site) -> None:
    Tenant.objects.filter(pk=filled.tenant.pk).update(rpm=1)
    first = filled.get("v1/related/post-1")
    assert (first.status_code, "r=0" in first["RateLimit"]) == (200, True)
    refused = filled.get("v1/related/post-1")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert int(refused["Retry-After"]) > 0


def test_related_documents_are_the_sites_own(filled: Site, other: Site) -> None:
    body = filled.get("v1/related/post-1").json()
    assert [set(one) for one in body["results"]] == [{"source_id", "title", "url", "score"}]
    assert body["results"][0]["source_id"] == "docs/parking.md"
    assert filled.get("v1/related/docs/parking.md?k=1").json()["results"][0]["source_id"] == "post-1"
    for caller, path in ((other, "post-1"), (filled, "post-9"), (filled, "x" * 300)):
        check_shape(caller.get(f"v1/related/{path}"), PATH, 404, "not_found")
    check_shape(filled.get("v1/related/post-1?foo=1"), PATH, 422, "invalid")
    for k in ("0", "51", "x", "-1"):
        check_shape(filled.get(f"v1/related/post-1?k={k}"), PATH, 422, "invalid")


def test_switched_off_retrieval_is_not_there(filled: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "RAG": False}
    check_shape(filled.post(PATH, GOOD), PATH, 404, "not_found")
    check_shape(filled.get("v1/related/post-1"), PATH, 404, "not_found")
