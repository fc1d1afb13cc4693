"""What people see of documents and indexes, what they may do with them, and who may."""

from __future__ import annotations

import pytest
from django.contrib.messages import get_messages

from django_wp_ai.models import Document, DocumentText, Job, SiteIndex
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

BASE = "/admin/django_wp_ai"


def made(source_id: str = "post-1", **fields) -> Document:
    fields.setdefault("tenant", None)
    tenant = fields.pop("tenant") or TenantFactory()
    values = {"status": "indexed", "title": "Bread", "chunk_count": 3, "size_bytes": 2048, "language": "de"}
    return Document.objects.create(tenant=tenant, source_id=source_id, **{**values, **fields})


def act(client, model, action, *rows, **fields):
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields}
    return client.post(f"{BASE}/{model}/", chosen)


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def test_a_document_shows_its_figures_and_why_it_failed(admin_client):
    document = made(status="failed", error_code="encrypted", error_message="The file is encrypted.")
    DocumentText.objects.create(document=document, text="canary-words")
    text = admin_client.get(f"{BASE}/document/", {"q": "Bread"}).content.decode()
    assert "encrypted" in text
    assert "2.0" in text
    page = admin_client.get(f"{BASE}/document/{document.pk}/change/").content.decode()
    assert "The file is encrypted." in page
    assert "Index anew" in page
    assert "canary-words" not in text + page


def test_documents_are_filtered_by_state_type_language_and_error(admin_client):
    made("a", post_type="page", language="en")
    made("b", status="failed", error_code="empty")
    for query, number in (
        ({"status__exact": "failed"}, 1),
        ({"post_type": "page"}, 1),
        ({"language": "de"}, 1),
        ({"error_code": "*"}, 1),
        ({"error_code": "-"}, 1),
    ):
        assert admin_client.get(f"{BASE}/document/", query).context["cl"].result_count == number, query


def test_documents_are_indexed_anew_in_the_operators_name(admin_client):
    kept, bare = made("a"), made("b")
    DocumentText.objects.create(document=kept, text="Hello.")
    response = act(admin_client, "document", "reindex_documents", kept, bare)
    assert Document.objects.get(pk=kept.pk).status == "pending"
    assert Document.objects.get(pk=bare.pk).status == "indexed"
    job = Job.objects.get()
    assert (job.kind, job.credential, job.caller["operator"]) == ("ingest", None, True)
    assert any("Nothing is kept of it" in text for text in said(response))


def test_documents_are_taken_out_and_leave_a_tombstone(admin_client):
    document = made()
    act(admin_client, "document", "delete_documents", document)
    assert Document.objects.get(pk=document.pk).status == "deleted"
    assert "Index anew" not in admin_client.get(f"{BASE}/document/{document.pk}/change/").content.decode()


def test_an_index_shows_what_serves_and_can_be_kept_from_here(admin_client):
    index = SiteIndex.objects.create(tenant=TenantFactory(), embedding_model="offline:offline-hash-2", dimensions=384)
    assert "offline:offline-hash-2" in admin_client.get(f"{BASE}/siteindex/").content.decode()
    assert admin_client.get(f"{BASE}/siteindex/{index.pk}/change/").status_code == 200
    act(admin_client, "siteindex", "sync_sites", index)
    assert Job.objects.get().kind == "sync"
    assert any("serves already" in text for text in said(act(admin_client, "siteindex", "reembed_sites", index)))


@pytest.mark.parametrize(
    ("model", "action"),
    [
        ("document", "reindex_documents"),
        ("document", "delete_documents"),
        ("siteindex", "sync_sites"),
        ("siteindex", "reembed_sites"),
    ],
)
def test_only_who_may_change_them_may_act(viewer, model, action):
    document = made()
    SiteIndex.objects.create(tenant=document.tenant, embedding_model="x:y")
    act(viewer, model, action, document)
    assert not Job.objects.exists()
    assert Document.objects.get().status == "indexed"
