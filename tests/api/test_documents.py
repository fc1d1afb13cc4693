"""Documents over HTTP: handed in as JSON or as a form, looked at, taken out; events of a site; one site's only."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from django.test.client import encode_multipart

from django_wp_ai.models import Document, DocumentUpload, Job, SiteIndex
from django_wp_ai.security.issue import issue
from tests.api.conftest import MOUNT, Site
from tests.api.documents import indexed
from tests.factories import TenantFactory
from tests.signing import message_signature

BOUNDARY = "a-boundary"
FORM = f"multipart/form-data; boundary={BOUNDARY}"
POST = {"source_id": "post-1", "title": "Bread", "text": "Flour and water.", "metadata": {"post_type": "post"}}


def form(content: bytes = b"# Bread\n\nFlour.", name: str = "bread.md", **fields: Any) -> bytes:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile(name, content, content_type="text/markdown")
    return encode_multipart(BOUNDARY, {"source_id": "file-1", **fields, "file": file})


def other_site(site: Site) -> Site:
    from django_wp_ai.security.issue import issue_site_keys

    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), site.client)


def with_scopes(site: Site, *scopes: str) -> dict[str, str]:
    key = issue(site.tenant, kind="api_key", scopes=list(scopes))
    return {"Authorization": f"Bearer {key.secret}"}


def test_a_document_is_kept_with_its_job_and_nothing_is_worked_on(site: Site) -> None:
    response = site.post("v1/documents", POST)
    assert response.status_code == 202, response.content
    document = Document.objects.for_tenant(site.tenant).get()
    assert response.json() == {
        "id": document.pk,
        "source_id": "post-1",
        "status": "pending",
        "job_id": str(document.job_id),
    }
    assert bytes(DocumentUpload.objects.get().body) == b"Flour and water."
    assert Job.objects.get().kind == "ingest"
    assert site.usage() == []


def test_what_is_indexed_already_is_unchanged(site: Site) -> None:
    site.post("v1/documents", POST)
    Document.objects.update(status="indexed")
    response = site.post("v1/documents", POST)
    assert (response.status_code, response.json()["status"], response.json()["job_id"]) == (200, "unchanged", None)


def test_the_metadata_says_what_searches_filter_by_and_the_rest_is_kept(site: Site) -> None:
    metadata = {"post_type": "page", "tags": ["a"], "lang": "de", "author": {"name": "Ada"}}
    site.post("v1/documents", {**POST, "metadata": {**metadata, "modified_at": "2026-01-02T03:04:05Z"}})
    told = site.get("v1/documents/post-1").json()
    assert told["metadata"] == metadata
    assert told["modified_at"] == "2026-01-02T03:04:05+00:00"


def test_a_file_comes_as_a_form(site: Site) -> None:
    body = form(title="Bread", metadata=json.dumps({"tags": ["food"]}))
    response = site.post("v1/documents", body, content_type=FORM)
    assert response.status_code == 202, response.content
    upload = DocumentUpload.objects.get()
    assert (bytes(upload.body), upload.filename, upload.mime) == (b"# Bread\n\nFlour.", "bread.md", "text/markdown")
    assert Document.objects.get().tags == ["food"]


def test_a_form_may_be_larger_than_json_and_has_a_bound_of_its_own(site: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_UPLOAD_BYTES": 600_000}
    assert site.post("v1/documents", form(b"x" * 500_000), content_type=FORM).status_code == 202
    assert site.post("v1/documents", form(b"x" * 600_001), content_type=FORM).status_code == 413
    assert site.post("v1/documents", form(b"x" * 1_000_000), content_type=FORM).status_code == 413
    assert site.post("v1/documents", {**POST, "text": "x" * 300_000}).status_code == 413
    assert site.post("v1/jobs", form(), content_type=FORM).status_code == 415


def test_a_signature_covers_the_bytes_of_a_form(site: Site) -> None:
    body, signing = form(), site.keys.hmac
    headers = message_signature(
        signing.credential.key_id, signing.secret, method="POST", path=f"{MOUNT}v1/documents", query="", body=body
    )
    assert site.post("v1/documents", body, headers=headers, content_type=FORM).status_code == 202
    again = message_signature(
        signing.credential.key_id, signing.secret, method="POST", path=f"{MOUNT}v1/documents", query="", body=body
    )
    changed = body.replace(b"Flour", b"Water")
    assert site.post("v1/documents", changed, headers=again, content_type=FORM).status_code == 401
    digest = b64encode(hashlib.sha256(changed).digest()).decode()
    again["Content-Digest"] = f"sha-256=:{digest}:"
    assert site.post("v1/documents", changed, headers=again, content_type=FORM).status_code == 401


def test_nobody_unknown_has_a_file_read(site: Site) -> None:
    response = site.client.post(
        f"{MOUNT}v1/documents", form(b"x" * 100_000), headers={"X-API-Key": "wpai_no_no"}, content_type=FORM
    )
    assert response.status_code == 401
    assert site.client.post(f"{MOUNT}v1/documents", form(), content_type=FORM).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form",
        form()[:-20],
        encode_multipart(BOUNDARY, {"source_id": "file-1"}),
        encode_multipart(BOUNDARY, {"source_id": "file-1", "file": "text"}),
        form(source_id=["a", "b"]),
        form(metadata="{no json"),
        form(surprise="x"),
        form(text="and a text"),
        form(content=b""),
    ],
)
def test_a_form_that_is_none_is_refused_and_leaves_nothing(site: Site, body: bytes) -> None:
    response = site.post("v1/documents", body, content_type=FORM)
    assert response.status_code == 422, response.content
    assert not DocumentUpload.objects.exists()


def test_a_form_that_is_sent_again_with_its_key_gets_the_first_reply(site: Site) -> None:
    headers = {**site.auth, "Idempotency-Key": "upload-1"}
    first = site.post("v1/documents", form(), headers=headers, content_type=FORM)
    second = site.post("v1/documents", form(), headers=headers, content_type=FORM)
    assert (second.json(), second["Idempotency-Replayed"]) == (first.json(), "true")
    assert site.post("v1/documents", form(b"other"), headers=headers, content_type=FORM).status_code == 422


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        (form(b""), "file"),
        (form(b" \n"), "file"),
        (form(metadata="{"), "metadata"),
        (form().replace(b"file-1", b"m\xff3"), "source_id"),
        (b'{"source_id": "a"}', "text"),
        (b'{"source_id": "a", "text": "b", "html": "c"}', "text"),
        (b'{"source_id": "a", "file_url": "file:///x"}', "file_url"),
    ],
)
def test_a_refusal_names_the_field(site: Site, sent: bytes, field: str) -> None:
    response = site.post("v1/documents", sent, content_type="application/json" if sent[:1] == b"{" else FORM)
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not Document.objects.exists()


def test_a_form_is_read_as_it_was_written(site: Site) -> None:
    name = "Brötchen \ufffd 日本"
    sent = form(source_id=name, metadata='{"tags": ["Käse \ufffd"]}')
    assert site.post("v1/documents", sent, content_type=FORM).json()["source_id"] == name


@pytest.mark.parametrize("path", ["v1/documents/a%0Ab", "v1/related/a%0Ab", "v1/related/a%00b", "v1/nothing%0A"])
def test_names_that_no_document_has_are_not_found(site: Site, path: str) -> None:
    response = site.get(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response["X-Request-ID"]


@pytest.mark.parametrize(
    "change",
    [
        {"source_id": ""},
        {"source_id": 5},
        {"source_id": "sync"},
        {"text": ""},
        {"html": "<p>x</p>"},
        {"surprise": 1},
        {"url": "ftp://x"},
        {"file_url": "http://10.0.0.1/x", "text": ""},
        {"metadata": {"tags": "a"}},
        {"metadata": []},
        {"metadata": {"modified_at": 5}},
        {"metadata": {"post_type": "Ä"}},
        {"file": "x"},
    ],
)
def test_what_breaks_a_rule_is_refused(site: Site, change: dict[str, Any]) -> None:
    response = site.post("v1/documents", {**POST, **change})
    assert response.status_code == 422, response.content
    assert not Document.objects.exists()


def test_errors_speak_of_json(site: Site) -> None:
    said = site.post("v1/documents", {**POST, "metadata": []}).json()["errors"]
    assert said == [{"field": "metadata", "message": "Input should be an object"}]
    said = site.post("v1/documents", []).json()["errors"]
    assert said == [{"field": "", "message": "Input should be an object"}]


def test_documents_are_read_listed_and_taken_out(site: Site) -> None:
    for number in range(3):
        indexed(site, f"docs/a {number}.md", post_type="page" if number else "post")
    assert site.get("v1/documents/docs/a%201.md").json()["source_id"] == "docs/a 1.md"
    first = site.get("v1/documents?limit=2").json()
    rest = site.get(f"v1/documents?limit=2&cursor={first['next_cursor']}").json()
    names = [one["source_id"] for one in first["documents"] + rest["documents"]]
    assert names == ["docs/a 2.md", "docs/a 1.md", "docs/a 0.md"]
    assert rest["next_cursor"] is None
    assert len(site.get("v1/documents?post_type=page").json()["documents"]) == 2
    gone = site.client.delete(f"{MOUNT}v1/documents/docs/a%201.md", headers=site.auth)
    assert (gone.status_code, gone.json()["status"]) == (200, "deleted")
    assert site.get("v1/documents/docs/a%201.md").status_code == 404
    assert len(site.get("v1/documents").json()["documents"]) == 2
    assert len(site.get("v1/documents?status=deleted").json()["documents"]) == 1
    assert site.client.delete(f"{MOUNT}v1/documents/docs/a%201.md", headers=site.auth).status_code == 404


@pytest.mark.parametrize("query", ["status=x", "limit=0", "limit=101", "cursor=x", "surprise=1", "status=&status="])
def test_a_list_is_asked_for_rightly(site: Site, query: str) -> None:
    assert site.get(f"v1/documents?{query}").status_code == 422


def test_another_sites_documents_are_not_there(site: Site) -> None:
    other = other_site(site)
    indexed(other)
    assert site.get("v1/documents/post-1").status_code == 404
    assert site.client.delete(f"{MOUNT}v1/documents/post-1", headers=site.auth).status_code == 404
    assert site.get("v1/documents").json()["documents"] == []
    assert site.post("webhooks/wp-delete", {"id": 1}).status_code == 200
    assert Document.objects.for_tenant(other.tenant).get().status == "indexed"
    assert site.post("v1/documents", POST).status_code == 202
    assert Document.objects.for_tenant(other.tenant).get().job is None


def test_each_call_needs_its_scope(site: Site) -> None:
    reads, writes = with_scopes(site, "rag.read"), with_scopes(site, "rag.write")
    indexed(site)
    assert site.post("v1/documents", POST, headers=reads).status_code == 403
    assert site.post("v1/documents/sync", {}, headers=reads).status_code == 403
    assert site.post("webhooks/wp-post", {"id": 1}, headers=reads).status_code == 403
    assert site.client.delete(f"{MOUNT}v1/documents/post-1", headers=reads).status_code == 403
    assert site.get("v1/documents", headers=writes).status_code == 403
    assert site.get("v1/documents/post-1", headers=writes).status_code == 403
    assert site.post("v1/documents", {**POST, "source_id": "b"}, headers=writes).status_code == 202


def test_jobs_of_documents_are_made_by_documents_only(site: Site) -> None:
    document = indexed(other_site(site))
    for kind in ("ingest", "sync", "reembed"):
        given = {"documents": [{"document": document.pk}]}
        assert site.post("v1/jobs", {"kind": kind, "input": given}).status_code == 422
        batch = {"kind": kind, "items": [given]}
        assert site.post("v1/jobs", {"kind": "batch", "input": batch}).status_code == 422
    assert not Job.objects.exists()


def test_one_sync_runs_at_a_time(site: Site) -> None:
    first, second = site.post("v1/documents/sync", {}), site.post("v1/documents/sync", {"full": True})
    assert (first.status_code, first.json()["kind"]) == (202, "sync")
    assert first.json()["id"] == second.json()["id"]
    assert first["Location"].endswith(first.json()["id"])
    assert SiteIndex.objects.for_tenant(site.tenant).exists()
    assert site.post("v1/documents/sync", {"surprise": 1}).status_code == 422
    assert site.post("v1/documents/sync", b"").json()["id"] == first.json()["id"]  # it needs no body


def test_the_job_of_a_document_is_ended_and_tried_again_by_who_may_write(site: Site) -> None:
    job_id = site.post("v1/documents", POST).json()["job_id"]
    for call in ("cancel", "retry"):
        path = f"{MOUNT}v1/jobs/{job_id}/{call}"
        sent = {"data": "{}", "content_type": "application/json"}
        assert site.client.post(path, **sent, headers=with_scopes(site, "jobs", "rag.read")).status_code == 403
        assert site.client.post(path, **sent, headers=with_scopes(site, "jobs", "rag.write")).status_code in (200, 202)
