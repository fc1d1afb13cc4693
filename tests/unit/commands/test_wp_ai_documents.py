from __future__ import annotations

import pytest
from django.core.management import CommandError

from django_wp_ai.models import Document, DocumentText, DocumentUpload, Job
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db

ITEM = """<item><title>Bread</title><link>https://a.example/bread</link><content:encoded><![CDATA[<p>Flour.</p>]]>
</content:encoded><wp:post_id>7</wp:post_id><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
<wp:post_password></wp:post_password></item>"""
WXR = f"""<?xml version="1.0"?><rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
xmlns:wp="http://wordpress.org/export/1.2/"><channel><wp:wxr_version>1.2</wp:wxr_version>{ITEM}</channel></rss>"""


@pytest.fixture
def tenant():
    return TenantFactory(slug="my-blog")


def test_a_folder_is_taken_in_once(shell, tenant, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.md").write_text("# A\n\nHello.")
    (tmp_path / "deep" / "b.txt").write_text("There.")
    told = shell.json("wp_ai_documents", "import", "my-blog", str(tmp_path))
    assert (told["seen"], told["queued"], told["refused"]) == (2, 2, 0)
    assert set(Document.objects.values_list("source_id", flat=True)) == {"a.md", "deep/b.txt"}
    assert Job.objects.get().caller["operator"] is True
    Document.objects.update(status="indexed")
    assert shell.json("wp_ai_documents", "import", "my-blog", str(tmp_path))["unchanged"] == 2


def test_a_wordpress_export_is_taken_in(shell, tenant, tmp_path):
    (tmp_path / "export.xml").write_text(WXR)
    text = shell.run("wp_ai_documents", "import", "my-blog", str(tmp_path / "export.xml"))
    assert "queued" in text
    document = Document.objects.get()
    assert (document.source_id, document.title, document.url) == ("post-7", "Bread", "https://a.example/bread")
    assert b"Flour." in bytes(DocumentUpload.objects.get().body)


@pytest.mark.parametrize("name", ["missing", "empty", "no.xml"])
def test_what_cannot_be_imported_is_one_line(shell, tenant, tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.xml").write_text("no export")
    with pytest.raises(CommandError) as refused:
        shell.run("wp_ai_documents", "import", "my-blog", str(tmp_path / name))
    assert "\n" not in str(refused.value)


def test_a_sync_is_begun_once(shell, tenant):
    first = shell.json("wp_ai_documents", "sync", "my-blog", "--full")
    assert first["job"] == shell.json("wp_ai_documents", "sync", "my-blog")["job"]
    with pytest.raises(CommandError):
        shell.run("wp_ai_documents", "sync", "nobody")


def test_documents_are_indexed_anew_all_or_some(shell, tenant):
    for name in ("a", "b", "c"):
        document = Document.objects.create(tenant=tenant, source_id=name, status="failed" if name == "c" else "indexed")
        DocumentText.objects.create(document=document, text="Hello.")
    assert shell.json("wp_ai_documents", "reindex", "my-blog", "a") == {"tenant": "my-blog", "documents": 1, "jobs": 1}
    assert shell.json("wp_ai_documents", "reindex", "my-blog", "--failed")["documents"] == 1
    assert shell.json("wp_ai_documents", "reindex", "my-blog")["documents"] == 3
    with pytest.raises(CommandError, match="There is no document nobody"):
        shell.run("wp_ai_documents", "reindex", "my-blog", "nobody")


def test_the_status_tells_figures_and_failures(shell, tenant):
    Document.objects.create(tenant=tenant, source_id="a", status="indexed", chunk_count=3)
    Document.objects.create(tenant=tenant, source_id="b", status="failed", error_code="empty", error_message="Nothing.")
    [row] = shell.json("wp_ai_documents", "status", "my-blog")
    assert (row["indexed"], row["failed"], row["chunks"], row["errors"][0]["error"]) == (1, 1, 3, "empty")
    assert "my-blog" in shell.run("wp_ai_documents", "status")
    assert "empty" in shell.run("wp_ai_documents", "status", "my-blog")
