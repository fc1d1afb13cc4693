"""A new version takes the place of the old one: chunks, text and figures in one transaction. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count
from django.utils import timezone

from django_wp_ai.models import Chunk, Document, DocumentText, DocumentUpload, SiteIndex, Tenant
from django_wp_ai.rag.ingest import staging, telling
from django_wp_ai.rag.ingest.deleting import bury_pulled
from django_wp_ai.rag.ingest.entries import Work
from django_wp_ai.rag.ingest.revision import locked_index
from django_wp_ai.rag.ingest.rows import hold, save_all

WRITTEN = (
    "title",
    "url",
    "mime",
    "post_type",
    "language",
    "tags",
    "metadata",
    "content_hash",
    "wanted_hash",
    "status",
    "error_code",
    "error_message",
    "version",
    "size_bytes",
    "chunk_count",
    "token_count",
    "modified_at",
    "indexed_at",
    "updated_at",
)


class ModelMoved(Exception):
    """The site's index has moved to another model meanwhile: the passages need its vectors."""


def swap(tenant: Tenant, job_id: UUID, works: Sequence[Work], model: str) -> None:
    """Let the staged chunks of each open document serve, and note what failed; the index gets its next revision.

    Called in a transaction that holds the job, maybe more than once: what it made of the documents is only so when
    that has ended (``served``). Raises ModelMoved.
    """
    hold(tenant, [work.document.pk for work in works])
    staging.own(tenant, job_id, works)
    ready = [work for work in works if work.is_open]
    if ready:
        index = locked_index(tenant)
        _serve(tenant, ready, index, model)
        index.revision += 1
        index.save()
    for work in works:
        if work.outcome == "unchanged":
            _unchanged(tenant, job_id, work)
    if gone := [work.document.pk for work in works if work.outcome == "deleted"]:
        bury_pulled(tenant, job_id, gone)
    note_failures(tenant, job_id, works)


def served(works: Sequence[Work]) -> None:
    """After the transaction of ``swap``: what was open is indexed."""
    for work in works:
        if work.is_open:
            work.outcome = "indexed"


def note_failures(tenant: Tenant, job_id: UUID, works: Sequence[Work]) -> None:
    """Documents that can't be indexed say why; the version that serves goes on serving."""
    for work in works:
        if work.failure is not None:
            message = work.failure.detail or work.failure.title
            mark_failed(tenant, job_id, work.document.pk, work.failure.code, message, tells=work.entry.tells)


def mark_failed(tenant: Tenant, job_id: UUID, pk: int, code: str, message: str, *, tells: bool) -> None:
    """Note why a document was not indexed, if it is still this job's to be, and tell its site."""
    mine = Document.objects.for_tenant(tenant).living().filter(pk=pk, job_id=job_id, status=Document.Status.PENDING)
    message = message.replace("\x00", "").encode("utf-8", "replace").decode()[:500]
    failed = {"status": Document.Status.FAILED, "error_code": code[:32], "error_message": message}
    if mine.update(**failed, updated_at=timezone.now()) and tells:
        telling.tell(tenant, Document.objects.for_tenant(tenant).get(pk=pk))


def _serve(tenant: Tenant, works: Sequence[Work], index: SiteIndex, model: str) -> None:
    by_document = {work.document.pk: work for work in works}
    chunks = Chunk.objects.for_tenant(tenant).filter(document__in=by_document)
    staged = chunks.filter(is_live=False)
    if index.embedding_model not in ("", model) and Chunk.objects.for_tenant(tenant).live().exists():
        raise ModelMoved
    counted = dict(staged.order_by().values_list("document").annotate(number=Count("pk")))
    for pk, work in by_document.items():
        if counted.get(pk, 0) != len(work.passages):
            raise ValueError(f"Document {pk} has {counted.get(pk, 0)} of {len(work.passages)} passages.")
    if index.embedding_model != model:
        index.embedding_model = model
        index.dimensions = staged.values_list("dimensions", flat=True).first()
    chunks.filter(is_live=True).delete()
    staged.update(is_live=True)
    DocumentUpload.objects.for_tenant(tenant).filter(document__in=by_document).delete()
    now = timezone.now()
    DocumentText.objects.bulk_create(
        [DocumentText(document_id=pk, text=work.text, extracted_at=now) for pk, work in by_document.items()],
        update_conflicts=True,
        unique_fields=["document"],
        update_fields=["text", "extracted_at"],
    )
    save_all([_indexed(work, now) for work in works], WRITTEN)
    for work in works:
        if work.entry.tells:
            telling.tell(tenant, work.document)


def _indexed(work: Work, now: Any) -> Document:
    document, fields = work.document, work.fields
    document.title, document.url, document.mime = fields.title[:500], fields.url[:2000], fields.mime[:127]
    document.post_type, document.language = fields.post_type[:64], work.language
    document.tags, document.metadata = list(fields.tags), dict(fields.metadata)
    document.content_hash = document.wanted_hash = work.hash
    document.status, document.error_code, document.error_message = Document.Status.INDEXED, "", ""
    document.version += 1
    document.size_bytes = work.size_bytes
    document.chunk_count = len(work.passages)
    document.token_count = sum(passage.token_count for passage in work.passages)
    document.indexed_at = document.updated_at = now
    return document


def _unchanged(tenant: Tenant, job_id: UUID, work: Work) -> None:
    mine = Document.objects.for_tenant(tenant).living().filter(pk=work.document.pk, job_id=job_id)
    now = timezone.now()
    ended = {"status": Document.Status.INDEXED, "error_code": "", "error_message": "", "updated_at": now}
    if mine.update(**ended, wanted_hash=work.hash, modified_at=work.document.modified_at) and work.entry.tells:
        telling.tell(tenant, Document.objects.for_tenant(tenant).get(pk=work.document.pk))
