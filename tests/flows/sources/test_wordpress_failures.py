"""What a site may answer instead of its content."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from django_wp_ai.models import Tenant
from django_wp_ai.rag.sources import paging, rest, wordpress
from django_wp_ai.rag.sources.base import SourceFailed
from tests.flows.sources.site import Answer, WordPress, post, running


@pytest.fixture
def site() -> WordPress:
    site = WordPress()
    site.rows["posts"] = [post(number) for number in range(1, 151)]
    return site


@pytest.fixture
def tenant(site: WordPress, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    monkeypatch.setattr(rest, "RETRY_BASE_S", 0.0)
    with running(site) as url:
        yield Tenant(slug="site", site_url=url)


async def failure(tenant: Tenant) -> SourceFailed:
    with pytest.raises(SourceFailed) as failed:
        await wordpress.all_ids(tenant)
    return failed.value


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ((401, {}, b"{}"), "refused"),
        ((403, {}, b"<h1>Forbidden</h1>"), "blocked"),
        ((404, {}, b""), "not_found"),
        ((400, {}, b"{}"), "failed"),
        ((418, {}, b"{}"), "failed"),
        ((200, {}, b"<!doctype html>"), "not_json"),
        ((200, {}, b""), "not_json"),
        ((200, {}, b"[" * 200_000), "not_json"),
        ((200, {}, b'{"code": "rest"}'), "not_json"),
        ((200, {}, b"\xff\xfe"), "not_json"),
        ((302, {"Location": "ftp://example.org/"}, b""), "url_refused"),
        ((302, {"Location": "http://10.0.0.1/"}, b""), "url_refused"),
    ],
)
@pytest.mark.parametrize("at", [1, 3])
async def test_an_answer_that_is_no_content_is_named(
    site: WordPress, tenant: Tenant, answer: Answer, reason: str, at: int
) -> None:
    site.always = lambda route, query: answer if len(site.requests) >= at else None
    if at == 1 and answer[2].startswith(b'{"code"'):
        reason = "unknown_type"
    error = await failure(tenant)
    assert error.reason == reason
    assert (error.code, error.status) == ("source_failed", 502)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_moment_of_trouble_passes(site: WordPress, tenant: Tenant, status: int) -> None:
    site.answers = {number: (status, {"Retry-After": "0"}, b"later") for number in (1, 3, 4, 6)}
    assert len(await wordpress.all_ids(tenant)) == 150


async def test_trouble_that_does_not_pass_is_an_error(site: WordPress, tenant: Tenant) -> None:
    site.always = lambda route, query: (429, {}, b"") if route == "/wp/v2/posts" else None
    assert (await failure(tenant)).reason == "busy"
    assert len(site.lists) == rest.ATTEMPTS


async def test_a_long_wait_is_told_and_not_waited_for(site: WordPress, tenant: Tenant) -> None:
    site.answers = {1: (429, {"Retry-After": "3600"}, b"")}
    error = await failure(tenant)
    assert (error.reason, error.retry_after_s) == ("busy", 3600)
    assert len(site.requests) == 1


async def test_a_connection_that_breaks_is_tried_again(site: WordPress, tenant: Tenant) -> None:
    site.answers = {2: (200, {"Content-Length": "100000"}, b"[")}
    assert len(await wordpress.all_ids(tenant)) == 150


async def test_the_same_page_for_ever_is_an_error(site: WordPress, tenant: Tenant) -> None:
    page = json.dumps([post(number) for number in range(1, 101)]).encode()
    site.always = lambda route, query: (200, {"X-WP-Total": "900"}, page) if route == "/wp/v2/posts" else None
    assert (await failure(tenant)).reason == "paging"


async def test_pages_without_end_are_an_error(site: WordPress, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MAX_THINGS", 500)
    numbers = count(1)

    def more(route: str, query: dict[str, str]) -> Answer | None:
        page = json.dumps([post(next(numbers)) for _ in range(100)]).encode()
        return (200, {"X-WP-Total": "999999999"}, page) if route == "/wp/v2/posts" else None

    site.always = more
    assert (await failure(tenant)).reason == "too_many"
    assert len(site.requests) < 40


async def test_empty_pages_without_end_are_an_error(site: WordPress, tenant: Tenant) -> None:
    site.always = lambda route, query: (200, {"X-WP-Total": "999999"}, b"[]") if route == "/wp/v2/posts" else None
    assert (await failure(tenant)).reason == "paging"
    assert len(site.requests) < 200


async def test_numbers_that_are_none_are_as_if_not_told(site: WordPress, tenant: Tenant) -> None:
    def odd(route: str, query: dict[str, str]) -> Answer | None:
        if route != "/wp/v2/posts":
            return None
        status, _, body = site._list(site.rows["posts"], query)
        return status, {"X-WP-Total": "many", "X-WP-TotalPages": "-5"}, body

    site.always = odd
    assert len(await wordpress.all_ids(tenant)) == 150


async def test_a_redirect_to_another_address_of_the_site_is_followed_once(site: WordPress, tenant: Tenant) -> None:
    old = WordPress()
    old.always = lambda route, query: (301, {"Location": f"{tenant.site_url}/wp-json{route}"}, b"")
    with running(old) as url:
        assert len(await wordpress.all_ids(Tenant(slug="old", site_url=url))) == 150
    assert len(old.requests) == 1


async def test_a_private_address_is_reached_only_if_the_tenant_may(
    site: WordPress, tenant: Tenant, settings: pytest.FixtureRequest
) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "OUTBOUND_ALLOWED_NETWORKS": []}  # type: ignore[attr-defined]
    assert (await failure(tenant)).reason == "url_refused"
    assert site.requests == []
    tenant.callback_hosts = ["127.0.0.1"]
    assert len(await wordpress.all_ids(tenant)) == 150


async def test_a_tenant_without_a_site_is_told_so() -> None:
    assert (await failure(Tenant(slug="none"))).reason == "no_site"


async def test_a_site_that_is_down_is_told_so() -> None:
    with running(WordPress()) as url:
        pass
    error = await failure_fast(Tenant(slug="down", site_url=url))
    assert error.reason == "connect_failed"


async def failure_fast(tenant: Tenant) -> SourceFailed:
    before, rest.RETRY_BASE_S = rest.RETRY_BASE_S, 0.0
    try:
        return await failure(tenant)
    finally:
        rest.RETRY_BASE_S = before
