"""A site that is looked through: what changed is taken in, what is gone goes, and the rest costs nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from django_wp_ai.exceptions import Conflict, Invalid
from django_wp_ai.jobs.cancelling import retry_ended
from django_wp_ai.models import Document, Job, SiteIndex, Tenant
from django_wp_ai.rag import ingest
from django_wp_ai.rag.sources import rest
from tests.flows.jobs.working import result_of
from tests.flows.rag.ingest.blog import Blog, running
from tests.flows.rag.ingest.conftest import OFFLINE, Library, set_model


@pytest.fixture
def blog(library: Library, monkeypatch: pytest.MonkeyPatch) -> Iterator[Blog]:
    monkeypatch.setattr(rest, "RETRY_BASE_S", 0.0)
    with running() as blog:
        Tenant.objects.filter(pk=library.tenant.pk).update(site_url=blog.url)
        library.tenant.site_url = blog.url
        yield blog


def sync(library: Library, *, full: bool = False) -> Any:
    job = ingest.start_sync(library.principal, full=full)
    library.run_due()
    job.refresh_from_db()
    assert job.status == "succeeded", (job.error_code, job.error_message)
    return result_of(job)


def ids(library: Library) -> list[str]:
    living = Document.objects.for_tenant(library.tenant).living().filter(status="indexed")
    return sorted(living.values_list("source_id", flat=True))


def test_a_site_is_taken_in_and_a_second_look_costs_nothing(library: Library, blog: Blog) -> None:
    for number in range(1, 121):
        blog.write(number, f"This is number {number}.")
    first = sync(library)
    assert (first["seen"], first["queued"], first["full"]) == (120, 120, True)
    assert len(ids(library)) == 120
    assert len(library.sent()) == 120
    assert Job.objects.filter(kind="ingest").count() == 3
    assert library.document("post-7").url == f"{blog.url}/7/"
    library.vendor.clear()
    for full in (False, True):
        again = sync(library, full=full)
        assert (again["queued"], again["deleted"]) == (0, 0)
    assert library.sent() == []
    assert library.site_index().synced_at is not None


def test_edits_additions_and_deletions_are_found(library: Library, blog: Blog) -> None:
    for number in range(1, 5):
        blog.write(number, f"This is number {number}.")
    sync(library)
    library.index("by-hand", "Handed in by the site itself.")
    library.vendor.clear()
    soon = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")
    blog.write(2, "This was edited.", modified=soon)
    blog.write(9, "This is new.", modified=soon)
    del blog.posts[3]
    blog.write(4, "This became private.", modified=soon, status="private")
    told = sync(library)
    assert (told["full"], told["queued"], told["deleted"]) == (False, 2, 2)
    assert ids(library) == ["by-hand", "post-1", "post-2", "post-9"]
    assert sorted(text.partition("\n\n")[2] for text in library.sent()) == ["This is new.", "This was edited."]
    blog.write(3, "This is number 3.")  # out of the bin, with its old date
    sync(library, full=True)
    assert "post-3" in ids(library)


def test_words_that_were_taken_out_of_a_post_are_found_no_more(library: Library, blog: Blog) -> None:
    for number in range(1, 6):
        blog.write(number, f"This is number {number}.")
    sync(library)
    library.vendor.clear()
    contents = {
        1: "",
        2: "<p>&nbsp;</p><script>let a</script>",
        3: '<img src="a.jpg" alt="">',
        4: '<img src="a.jpg" alt="A red barn">',
    }
    for number, html in contents.items():
        soon = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%S")
        blog.write(number, "", modified=soon, content={"rendered": html, "protected": False})
    told = sync(library)
    assert (told["seen"], told["queued"], told["refused"], told["deleted"]) == (4, 1, 3, 3)
    assert ids(library) == ["post-4", "post-5"]
    assert "A red barn" in library.chunks("post-4")[0].content
    again = sync(library, full=True)
    assert (again["queued"], again["refused"], again["deleted"]) == (0, 3, 0)
    blog.write(1, "Words again.")
    sync(library, full=True)
    assert ids(library) == ["post-1", "post-4", "post-5"]


def test_a_post_that_is_only_rendered_otherwise_is_no_news(library: Library, blog: Blog) -> None:
    """As WordPress does it: the first picture of a reply is loaded at once, and ids are counted up."""
    rendered = '<figure id="gallery-{}"><img src="a.jpg" alt="A barn" {}></figure><p>Red {}.</p>'
    for number in (1, 2):
        blog.write(number, "", content={"rendered": rendered.format(1, 'loading="lazy"', 5), "protected": False})
    sync(library)
    blog.write(1, "", content={"rendered": rendered.format(2, 'fetchpriority="high"', 5), "protected": False})
    blog.write(2, "", content={"rendered": rendered.format(2, 'fetchpriority="high"', 6), "protected": False})
    told = sync(library, full=True)
    assert (told["queued"], told["unchanged"]) == (1, 1)
    assert [library.document(name).version for name in ("post-1", "post-2")] == [1, 2]
    library.hand_in("post-1", is_pulled=True, post_type="post")
    library.run_due()
    assert library.result("post-1")["unchanged"] == 1


def test_a_site_that_cannot_be_read_to_its_end_loses_nothing(library: Library, blog: Blog) -> None:
    blog.write(1, "Hello.")
    sync(library)
    blog.down = 403
    job = ingest.start_sync(library.principal, full=True)
    library.run_due()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "source_failed")
    assert ids(library) == ["post-1"]
    assert library.site_index().sync_error.startswith("source_failed")
    blog.down = 0
    sync(library)
    assert library.site_index().sync_error == ""


def test_a_site_that_is_away_is_asked_again_later(library: Library, blog: Blog) -> None:
    blog.down = 503
    job = ingest.start_sync(library.principal, full=True)
    library.run_due()
    job.refresh_from_db()
    assert job.status == "queued"


def test_a_post_that_is_only_named_is_fetched(library: Library, blog: Blog) -> None:
    blog.write(12, "Fetched from the site.")
    document = library.index("post-12", is_pulled=True, post_type="post")
    assert (document.title, document.url, document.post_type) == ("Post 12", f"{blog.url}/12/", "post")
    assert "Fetched from the site." in library.chunks("post-12")[0].content
    library.vendor.clear()
    library.hand_in("post-12", is_pulled=True, post_type="post")
    library.run_due()
    assert library.result("post-12")["unchanged"] == 1
    assert (library.document("post-12").version, library.sent()) == (1, [])


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "draft"},
        {"content": {"rendered": "x", "protected": True}},
        {"content": {"rendered": "<figure><img src='a.jpg'></figure>", "protected": False}},
    ],
)
def test_a_post_that_is_named_and_shows_no_words_is_taken_out(
    library: Library, blog: Blog, fields: dict[str, Any]
) -> None:
    blog.write(12, "Public.")
    library.index("post-12", is_pulled=True)
    blog.write(12, "Not public.", **fields)
    library.hand_in("post-12", is_pulled=True)
    library.run_due()
    assert library.document("post-12").status == "deleted"
    assert library.chunks("post-12") == []


def test_a_file_is_fetched_by_its_address_and_a_missing_one_says_so(library: Library, blog: Blog) -> None:
    blog.write(5, "A reply of the API is a file too.")
    document = library.index("attachment-5", file_url=f"{blog.url}/wp-json/wp/v2/posts/5", title="A file")
    assert document.title == "A file"
    library.hand_in("attachment-6", file_url=f"{blog.url}/wp-json/wp/v2/posts/6")
    library.run_due()
    assert library.document("attachment-6").error_code == "fetch_failed"


def test_sites_that_were_synced_once_are_looked_through_each_day(library: Library, blog: Blog, settings: Any) -> None:
    set_model(library.tenant, OFFLINE)  # settings change below, and with them vendors' connections
    blog.write(1, "Hello.")
    assert ingest.start_due() == 0
    sync(library)
    Job.objects.update(created_at=datetime.now(UTC) - timedelta(hours=2))
    assert ingest.start_due() == 0
    SiteIndex.objects.update(fully_synced_at=datetime.now(UTC) - timedelta(hours=25))
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "SYNC_EVERY_H": 0}
    assert ingest.start_due() == 0
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "SYNC_EVERY_H": 24}
    assert (ingest.start_due(), ingest.start_due()) == (1, 0)
    library.run_due()
    assert Job.objects.filter(kind="sync", credential=None, status="succeeded").count() == 1


def test_a_tenant_without_a_site_has_nothing_to_pull(library: Library) -> None:
    Tenant.objects.filter(pk=library.tenant.pk).update(site_url="")
    library.tenant.site_url = ""
    with pytest.raises(Invalid):
        ingest.start_sync(library.principal, full=False)


def test_of_two_looks_one_is_not_tried_again_beside_the_other(library: Library, blog: Blog) -> None:
    blog.down = 403
    first = ingest.start_sync(library.principal, full=True)
    Job.objects.filter(pk=first.pk).update(max_attempts=1)
    library.run_due()
    assert Job.objects.get(pk=first.pk).status == "failed"
    ingest.start_sync(library.principal, full=True)
    with pytest.raises(Conflict):
        retry_ended(library.tenant, first.pk)
