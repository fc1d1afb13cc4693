"""What a site tells of its content: posts saved, files added, either gone; late, twice, or of another site."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import Document, DocumentUpload
from django_wp_ai.security.issue import issue
from tests.api.conftest import Site
from tests.api.documents import indexed
from tests.api.jobs import as_user
from tests.signing import legacy_signature


def test_a_saved_post_is_taken_in_or_only_named(site: Site) -> None:
    whole = {"id": 12, "title": "Bread", "html": "<p>Flour.</p>", "modified_at": "2026-01-02T03:04:05"}
    assert site.post("webhooks/wp-post", whole).json()["source_id"] == "post-12"
    assert Document.objects.get().modified_at is not None
    named = site.post("webhooks/wp-post", {"id": "13", "post_type": "page", "site_id": site.tenant.slug})
    assert (named.status_code, named.json()["source_id"]) == (202, "page-13")
    assert not DocumentUpload.objects.filter(document__source_id="page-13").exists()
    assert site.post("webhooks/wp-post", whole).json()["job_id"] is not None  # the same event again is no replay


@pytest.mark.parametrize("modified_at", [None, "", "2026-01-02T03:04:05Z", "2026-01-02 03:04:05"])
def test_a_post_that_is_no_longer_published_is_taken_out(site: Site, modified_at: str | None) -> None:
    indexed(site, "post-12")
    event = {"id": 12, "status": "private", "modified_at": modified_at}
    assert site.post("webhooks/wp-post", event).json()["status"] == "deleted"
    assert Document.objects.get().status == "deleted"


@pytest.mark.parametrize("said", [{"html": "<!-- wp:paragraph -->\n<p></p>\n<!-- /wp:paragraph -->"}, {"text": " \n"}])
def test_a_post_that_says_nothing_any_more_is_taken_out(site: Site, said: dict[str, str]) -> None:
    indexed(site, "post-12")
    late = site.post("webhooks/wp-post", {"id": 12, **said, "modified_at": "2026-01-02T03:04:05Z"})
    assert (late.status_code, late.json()["status"]) == (200, "deleted")
    assert Document.objects.get().status == "deleted"
    assert site.post("webhooks/wp-post", {"id": 13, **said}).json()["status"] == "deleted"  # and never came


def test_an_event_without_a_time_of_its_own_is_not_taken_twice(site: Site) -> None:
    issued = issue(site.tenant, kind="hmac", profile="wp-signature", scopes=["rag.write"])
    indexed(site, "post-12")
    body = b'{"id": 12}'
    headers = legacy_signature("wp-signature", issued.secret, body)
    assert site.post("webhooks/wp-delete", body, headers=headers).status_code == 200
    Document.objects.update(status="indexed", deleted_at=None)
    assert site.post("webhooks/wp-delete", body, headers=headers).status_code == 401
    assert Document.objects.get().status == "indexed"


def test_late_events_change_nothing(site: Site) -> None:
    event = {"id": 12, "html": "<p>New.</p>", "modified_at": "2026-01-02T00:00:00Z"}
    site.post("webhooks/wp-post", event)
    late = site.post("webhooks/wp-post", {**event, "html": "<p>Old.</p>", "modified_at": "2026-01-01T00:00:00Z"})
    assert (late.status_code, late.json()["status"]) == (200, "outdated")
    late = site.post("webhooks/wp-delete", {"id": 12, "modified_at": "2026-01-01T00:00:00Z"})
    assert late.json()["status"] == "outdated"


def test_a_file_of_the_media_library_is_to_be_fetched(site: Site) -> None:
    event = {
        "site_id": site.tenant.site_url,
        "file_url": "https://files.example/a.pdf",
        "title": "A",
        "attachment_id": 7,
    }
    response = site.post("webhooks/wp-media", event)
    assert (response.status_code, response.json()["source_id"]) == (202, "attachment-7")
    assert site.post("webhooks/wp-media", {**event, "file_url": "http://127.0.0.2.nip.io:22/"}).status_code == 422


@pytest.mark.parametrize(
    ("body", "name"),
    [({"id": 3}, "post-3"), ({"attachment_id": "4"}, "attachment-4"), ({"source_id": "docs/a.md"}, "docs/a.md")],
)
def test_what_is_gone_is_taken_out_by_any_of_its_names(site: Site, body: dict[str, Any], name: str) -> None:
    indexed(site, name)
    assert site.post("webhooks/wp-delete", body).json()["status"] == "deleted"
    assert site.post("webhooks/wp-delete", body).status_code == 200  # that it is gone already is no error
    assert Document.objects.get().status == "deleted"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("wp-post", {}),
        ("wp-post", {"id": 0}),
        ("wp-post", {"id": True}),
        ("wp-post", {"id": "1x"}),
        ("wp-post", {"id": 1, "surprise": 1}),
        ("wp-post", {"id": 1, "text": "a", "html": "b"}),
        ("wp-media", {"attachment_id": 1}),
        ("wp-media", {"attachment_id": 1, "file_url": "file:///etc/passwd"}),
        ("wp-delete", {}),
        ("wp-delete", {"id": 1, "source_id": "a"}),
    ],
)
def test_an_event_that_says_nothing_usable_is_refused(site: Site, path: str, body: dict[str, Any]) -> None:
    assert site.post(f"webhooks/{path}", body).status_code == 422


def test_an_event_of_another_site_or_of_a_visitor_is_refused(site: Site) -> None:
    assert site.post("webhooks/wp-post", {"id": 1, "site_id": "another"}).status_code == 403
    assert site.post("webhooks/wp-post", {"id": 1}, headers=as_user(site, "7")).status_code == 403
    assert not Document.objects.exists()
