"""Documents that are handed in become passages that serve: once, whole, and each paid for once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.exceptions import Forbidden, Invalid, NotFound, TooLarge
from django_wp_ai.models import Chunk, DocumentText, DocumentUpload, Tenant
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest import NewDocument
from django_wp_ai.rag.ingest.accepting import accept_many
from tests.flows.rag.ingest.conftest import VENDOR, Library, paragraphs


def test_a_text_is_cut_embedded_and_serves_with_its_figures(library: Library) -> None:
    document = library.index(
        text=paragraphs("harbour", "lighthouse"), title="The coast", url="https://a.example/coast", tags=("sea",)
    )
    chunks = library.chunks()
    assert [chunk.heading_path for chunk in chunks] == [["About harbour"], ["About lighthouse"]]
    text = DocumentText.objects.get(document=document).text
    for place, chunk in enumerate(chunks):
        assert chunk.content == text[chunk.start : chunk.end]
        assert (chunk.ordinal, chunk.version, chunk.embedding_model, chunk.dimensions) == (place, 1, VENDOR, 1536)
        assert (chunk.tags, chunk.language, chunk.embedding is not None) == (["sea"], "en", True)
    assert (document.version, document.chunk_count, document.language) == (1, 2, "en")
    assert document.token_count == sum(chunk.token_count for chunk in chunks)
    assert document.cost_usd is not None
    assert document.cost_usd > 0
    assert document.cost_usd == library.job().cost_usd
    assert not DocumentUpload.objects.for_tenant(library.tenant).exists()
    index = library.site_index()
    assert (index.embedding_model, index.dimensions, index.revision) == (VENDOR, 1536, 1)
    assert library.result() == {
        "indexed": 1,
        "unchanged": 0,
        "superseded": 0,
        "deleted": 0,
        "failed": 0,
        "chunks": 2,
        "embedded": 2,
        "errors": [],
    }


@pytest.mark.parametrize(
    ("told", "kept"), [("de_DE", "de"), ("de-AT", "de"), ("DE", "de"), ("gsw-CH", "gsw-CH"), ("", "en")]
)
def test_a_language_is_kept_by_its_code_however_the_source_spells_it(library: Library, told: str, kept: str) -> None:
    document = library.index(text=paragraphs("harbour"), language=told)
    assert document.language == kept
    assert {chunk.language for chunk in library.chunks()} == {kept}


def test_a_vector_is_of_the_passage_below_its_title_and_headings(library: Library) -> None:
    library.index(title="Opening hours", text="# Opening hours\n\n## Winter\n\nFrom ten to four.")
    assert library.sent() == ["Opening hours > Winter\n\n# Opening hours\n\n## Winter\n\nFrom ten to four."]


def test_the_same_content_again_is_nothing_to_be_done(library: Library) -> None:
    library.index(text="Same.", title="One")
    library.vendor.clear()
    again = library.hand_in(text="Same.", title="One")
    assert (again.unchanged, again.job) == (True, None)
    library.run_due()
    assert library.sent() == []
    assert library.site_index().revision == 1


def test_the_same_content_twice_while_the_first_waits_is_one_job(library: Library) -> None:
    first, second = library.hand_in(text="Same."), library.hand_in(text="Same.")
    assert first.job == second.job
    assert not second.unchanged
    library.run_due()
    assert len(library.sent()) == 1


def test_a_new_version_embeds_only_what_is_new_and_takes_the_place_of_the_old(library: Library) -> None:
    first = library.index(text=paragraphs("harbour", "lighthouse", "market"))
    library.vendor.clear()
    document = library.index(text=paragraphs("market", "harbour", "museum"))
    assert [text for text in library.sent() if "museum" in text] == library.sent()
    assert len(library.sent()) == 1
    assert [chunk.heading_path[0][6:] for chunk in library.chunks()] == ["market", "harbour", "museum"]
    assert Chunk.objects.for_tenant(library.tenant).count() == 3
    assert (document.version, library.site_index().revision) == (2, 2)
    assert document.cost_usd is not None
    assert first.cost_usd is not None
    assert document.cost_usd > first.cost_usd


def test_what_only_changes_what_is_said_of_it_costs_nothing(library: Library) -> None:
    library.index(text="Same.", tags=("old",))
    library.vendor.clear()
    library.index(text="Same.", tags=("new",), post_type="page", metadata={"author": "Ada"})
    assert library.sent() == []
    [chunk] = library.chunks()
    assert (chunk.tags, chunk.post_type) == (["new"], "page")
    assert library.document().metadata == {"author": "Ada"}


def test_another_document_with_the_same_passage_costs_nothing(library: Library) -> None:
    library.index("post-1", "A common paragraph.")
    library.vendor.clear()
    document = library.index("post-2", "A common paragraph.")
    assert library.sent() == []
    assert document.cost_usd == Decimal(0)


def test_another_sites_vectors_are_not_taken(library: Library) -> None:
    other = Tenant.objects.create(slug="other")
    library.index(text="A common paragraph.")
    Chunk.objects.update(tenant=other)
    library.vendor.clear()
    library.index("post-2", "A common paragraph.")
    assert len(library.sent()) == 1  # since what it has itself is none of this site's any more


def test_html_is_read_as_markdown_and_files_by_their_bytes(library: Library) -> None:
    library.index("post-1", html="<!-- wp:heading --><h2>Prices</h2><!-- /wp:heading --><p>Ten <b>euros</b>.</p>")
    [chunk] = library.chunks("post-1")
    assert "## Prices" in chunk.content
    assert "<p>" not in chunk.content
    document = library.index("file-1", data=b"# A note\n\nBring boots.", filename="note.md", mime="text/markdown")
    assert "Bring boots." in library.chunks("file-1")[0].content
    assert document.size_bytes == len(b"# A note\n\nBring boots.")


def test_a_file_that_cannot_be_read_fails_with_its_code_and_says_so(library: Library) -> None:
    accepted = library.hand_in(data=b"\x7fELF" + bytes(200), filename="noise.txt")
    library.run_due()
    document = library.document()
    assert accepted.job is not None
    accepted.job.refresh_from_db()
    assert (document.status, accepted.job.status) == ("failed", "failed")
    assert document.error_code == accepted.job.error_code == "unsupported_media"
    assert document.error_message


def test_of_many_documents_one_that_fails_stops_no_other(library: Library) -> None:
    good = [NewDocument(source_id=f"post-{number}", text=f"Number {number}.") for number in range(5)]
    bad = NewDocument(source_id="bad", data=b"\x7fELF" + bytes(200), filename="noise.txt")
    accepted = accept_many(library.principal, [*good, bad])
    assert len({one.job for one in accepted}) == 1
    library.run_due()
    assert library.document("bad").status == "failed"
    assert {library.document(f"post-{number}").status for number in range(5)} == {"indexed"}
    assert library.result("bad")["errors"][0]["source_id"] == "bad"
    assert len([r for r in library.vendor.requests if r.path.endswith("/embeddings")]) == 1  # they share a call
    total = sum(library.document(f"post-{number}").cost_usd or 0 for number in range(5))
    assert total == library.job("bad").cost_usd


WRONG: list[dict[str, Any]] = [
    {"source_id": " "},
    {"source_id": "sync"},
    {"source_id": "x" * 256},
    {"source_id": "a\x00b"},
    {"source_id": "a\n"},
    {"source_id": "a\u2028b"},
    {"text": ""},
    {"text": " \n "},
    {"html": "<p>too</p>"},
    {"url": "javascript:alert(1)"},
    {"text": "", "file_url": "file:///etc/passwd"},
    {"text": "", "file_url": "http://169.254.169.254/latest"},
    {"tags": ("x",) * 101},
    {"tags": ("\ud800",)},
    {"metadata": {"large": "x" * 20_000}},
    {"title": "x" * 501},
]


@pytest.mark.parametrize("fields", WRONG)
def test_what_cannot_be_taken_in_is_refused_and_leaves_nothing(library: Library, fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        ingest.accept(library.principal, NewDocument(**{"source_id": "post-1", "text": "Hello.", **fields}))
    assert not DocumentUpload.objects.exists()


def test_a_file_over_the_bound_is_refused(library: Library, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_UPLOAD_BYTES": 10}
    with pytest.raises(TooLarge):
        library.hand_in(data=b"x" * 11, filename="x.txt")


def test_handing_in_and_taking_out_need_the_scope(library: Library) -> None:
    library.index()
    library.street.principal.credential.scopes = []  # type: ignore[union-attr]
    reader = library.principal.__class__(
        tenant=library.tenant, credential=library.principal.credential, scopes=frozenset({"rag.read", "jobs"})
    )
    with pytest.raises(Forbidden):
        ingest.accept(reader, NewDocument(source_id="a", text="b"))
    with pytest.raises(Forbidden):
        ingest.delete(reader, "post-1")
    with pytest.raises(Forbidden):
        ingest.start_sync(reader, full=False)


def test_another_sites_document_is_not_there(library: Library) -> None:
    other = Tenant.objects.create(slug="other")
    document = library.index()
    document.tenant = other
    document.save()
    with pytest.raises(NotFound):
        ingest.find(library.tenant, "post-1")
    with pytest.raises(NotFound):
        ingest.delete(library.principal, "post-1")
    assert ingest.page(library.tenant).documents == []
    mine = library.index(text="Mine.")
    assert mine.pk != document.pk
