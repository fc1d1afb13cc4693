"""A site's public content is read whole, whatever happens meanwhile, and nothing else of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from django_wp_ai.models import Tenant
from django_wp_ai.rag.sources import rest, wordpress
from django_wp_ai.rag.sources.base import SourceDocument, SourceFailed
from tests.flows.sources.site import WordPress, post, running


@pytest.fixture
def site() -> WordPress:
    return WordPress()


@pytest.fixture
def tenant(site: WordPress, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenant]:
    monkeypatch.setattr(rest, "RETRY_BASE_S", 0.0)
    with running(site) as url:
        yield Tenant(slug="site", site_url=url)


async def read(tenant: Tenant, **options: Any) -> list[SourceDocument]:
    return [document async for page in wordpress.pages(tenant, **options) for document in page]


async def ids(tenant: Tenant) -> list[int]:
    return [int(document.source_id.rpartition("-")[2]) for document in await read(tenant)]


async def test_a_post_comes_with_all_that_is_known_of_it(site: WordPress, tenant: Tenant) -> None:
    site.rows["posts"] = [post(7, tags=[3, 4], categories=[9], lang="de_DE")]
    site.terms = {"tags": {3: "Shoes &amp; boots", 4: "Sale"}, "categories": {9: "News"}}
    assert await read(tenant) == [
        SourceDocument(
            source_id="post-7",
            title="Post 7 – &c.",
            url="https://example.org/7/",
            html="<p>Content of 7.</p>",
            mime="text/html",
            post_type="post",
            language="de",
            tags=("News", "Shoes & boots", "Sale"),
            modified_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        )
    ]


async def test_what_is_not_public_is_left_out_even_if_the_site_shows_it(site: WordPress, tenant: Tenant) -> None:
    protected = {"rendered": "secret", "protected": True}
    site.rows["posts"] = [
        post(1, status="draft"),
        post(2, status="private"),
        post(3, content=protected),
        post(4, status="future"),
        post(5, content={"rendered": "unclear"}),
        post(6, content=None),
        post(7),
    ]
    assert await ids(tenant) == [7]
    assert await wordpress.all_ids(tenant) == {"post-7"}


async def test_chosen_types_are_read_where_the_site_keeps_them(site: WordPress, tenant: Tenant) -> None:
    site.rows["books"], site.rows["pages"] = [post(1)], [post(2)]
    tenant.content_types = ["book", "book"]
    assert [document.source_id for document in await read(tenant)] == ["book-1"]
    assert [route for route, _ in site.requests] == ["/wp/v2/types", "/shop/v1/books"]


async def test_attachments_are_files_to_fetch(site: WordPress, tenant: Tenant) -> None:
    tenant.content_types = ["attachment"]
    url = "https://example.org/wp-content/uploads/price%20list.pdf"
    pdf = post(7, status="inherit", source_url=url, mime_type="application/pdf", content=None)
    site.rows["media"] = [pdf, {**pdf, "id": 8, "mime_type": "image/png"}, {**pdf, "id": 9, "status": "private"}]
    (document,) = await read(tenant)
    assert (document.source_id, document.url, document.mime) == ("attachment-7", url, "application/pdf")
    assert (document.filename, document.html) == ("price list.pdf", "")
    assert document.metadata == {"page_url": "https://example.org/7/"}
    assert await wordpress.all_ids(tenant) == {"attachment-7", "attachment-8"}  # pictures of events stay


@pytest.mark.parametrize("content_types", [["novel"], ["post", "novel"]])
async def test_a_type_that_the_site_does_not_show_is_an_error(
    site: WordPress, tenant: Tenant, content_types: list[str]
) -> None:
    tenant.content_types = content_types
    with pytest.raises(SourceFailed, match="'novel'") as refused:
        await wordpress.all_ids(tenant)
    assert refused.value.reason == "unknown_type"


async def test_a_site_with_plain_permalinks_is_read(site: WordPress, tenant: Tenant) -> None:
    site.plain_permalinks = True
    site.rows["posts"] = [post(number) for number in range(1, 131)]
    assert len(await ids(tenant)) == 130


async def test_an_increment_asks_for_what_was_changed_and_for_what_has_appeared(
    site: WordPress, tenant: Tenant
) -> None:
    old = {"date_gmt": "2025-01-01T00:00:00", "modified_gmt": "2025-01-01T00:00:00"}
    site.rows["posts"] = [
        post(1, **old),
        post(2, **old | {"modified_gmt": "2026-05-01T11:56:00"}),
        post(3, **old | {"date_gmt": "2026-05-02T00:00:00"}),
        post(4, **old | {"date_gmt": "2026-05-02T00:00:00", "modified_gmt": "2026-05-03T00:00:00"}),
    ]
    found = await read(tenant, since=datetime(2026, 5, 1, 21, tzinfo=timezone(timedelta(hours=9))))
    assert sorted(document.source_id for document in found) == ["post-2", "post-3", "post-4"]
    assert site.lists[0]["modified_after"] == "2026-05-01T11:55:00Z"
    assert {document.source_id: document.modified_at for document in found}["post-3"] == datetime(
        2026, 5, 2, tzinfo=UTC
    )


async def test_names_are_asked_for_once_each(site: WordPress, tenant: Tenant) -> None:
    site.rows["posts"] = [post(number, tags=[number, 1]) for number in range(1, 251)]
    site.terms["tags"] = {number: f"tag {number}" for number in range(1, 251)}
    found = await read(tenant)
    assert found[249].tags == ("tag 250", "tag 1")
    asked = [query["include"].split(",") for route, query in site.requests if route == "/wp/v2/tags"]
    assert sum(map(len, asked)) == 250
    assert max(map(len, asked)) <= 100


async def test_a_site_that_hides_its_tags_is_read_without_them(site: WordPress, tenant: Tenant) -> None:
    site.rows["posts"] = [post(1, tags=[1])]
    site.always = lambda route, query: (401, {}, b"{}") if route == "/wp/v2/tags" else None
    assert (await read(tenant))[0].tags == ()


async def test_the_listing_asks_for_no_bodies(site: WordPress, tenant: Tenant) -> None:
    site.rows["posts"] = [post(number) for number in range(1, 251)]
    assert len(await wordpress.all_ids(tenant)) == 250
    assert {query["_fields"] for query in site.lists} == {"id,status,content.protected"}
    assert {query["per_page"] for query in site.lists} == {"100"}


async def test_odd_fields_do_no_harm(site: WordPress, tenant: Tenant) -> None:
    tenant.content_types = ["post"]
    site.rows["posts"] = [
        post(1, title=None, link=5, tags="x", categories=[None, "1"], modified_gmt=None, date_gmt="0000-00-00"),
        post(2, title="<b>Bold</b> \ud83d\ude00 \ud800\x00", link="javascript:alert(1)", lang=["de"]),
    ]
    site.always = lambda route, query: (
        site._json([None, 5, {"id": "7"}, {"id": True}, {"id": -1}, {}, *site.rows["posts"]], {"X-WP-Total": "2"})
        if query.get("offset") == "0"
        else None
    )
    first, second = await read(tenant)
    assert (first.title, first.url, first.tags, first.modified_at) == ("", "", (), None)
    assert (second.title, second.url, second.language) == ("Bold 😀 \ufffd", "", "")


@pytest.mark.parametrize("limit", [1, 7, 99, 100])
async def test_every_post_comes_once_however_few_at_a_time(site: WordPress, tenant: Tenant, limit: int) -> None:
    site.rows["posts"] = [post(number) for number in range(1, 231)]
    site.most_per_page = limit
    assert await ids(tenant) == list(range(1, 231))


@pytest.mark.parametrize("number", [0, 1, 99, 100, 101, 199, 200])
@pytest.mark.parametrize("tells_totals", [True, False])
async def test_any_number_of_posts_is_read(site: WordPress, tenant: Tenant, number: int, tells_totals: bool) -> None:
    site.rows["posts"] = [post(1 + each) for each in range(number)]
    site.tells_totals = tells_totals
    assert await ids(tenant) == list(range(1, number + 1))


@pytest.mark.parametrize("gone", [range(1, 2), range(1, 100), range(50, 120), range(1, 250)])
async def test_what_is_deleted_while_we_page_hides_nothing(site: WordPress, tenant: Tenant, gone: range) -> None:
    site.rows["posts"] = [post(number) for number in range(1, 301)]

    def delete(number: int) -> None:
        if number == 3:
            site.rows["posts"] = [row for row in site.rows["posts"] if row["id"] not in gone]

    site.before = delete
    found = await ids(tenant)
    assert len(found) == len(set(found))
    assert set(found) >= set(range(1, 301)) - set(gone)


async def test_what_is_added_while_we_page_comes_at_the_end(site: WordPress, tenant: Tenant) -> None:
    site.rows["posts"] = [post(number) for number in range(1, 151)]
    site.before = lambda number: site.rows["posts"].append(post(150 + number)) if number == 3 else None
    assert await ids(tenant) == [*range(1, 151), 153]


@pytest.mark.parametrize("hidden", [{100}, {100, 101}, set(range(20, 180)), set(range(1, 300))])
@pytest.mark.parametrize("tells_totals", [True, False])
async def test_what_wordpress_leaves_out_of_a_page_does_not_end_the_reading(
    site: WordPress, tenant: Tenant, hidden: set[int], tells_totals: bool
) -> None:
    site.rows["posts"] = [post(number) for number in range(1, 301)]
    site.hidden, site.tells_totals = hidden, tells_totals
    if tells_totals or len(hidden) < 100:
        assert await ids(tenant) == [number for number in range(1, 301) if number not in hidden]
    else:
        assert set(await ids(tenant)) <= set(range(1, 301))  # an empty page, and nobody says that more follows


async def test_a_page_too_large_is_asked_for_in_smaller_parts(
    site: WordPress, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rest, "MAX_REPLY_BYTES", 20_000)
    large = {"rendered": "x" * 15_000, "protected": False}
    huge = {"rendered": "x" * 50_000, "protected": False}
    site.rows["posts"] = [post(number) for number in range(1, 121)]
    site.rows["posts"][60] = post(61, content=large)
    site.rows["posts"][90] = post(91, content=huge)
    assert sorted(await ids(tenant)) == [number for number in range(1, 121) if number != 91]
