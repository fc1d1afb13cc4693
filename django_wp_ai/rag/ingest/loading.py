"""From what was handed in to text: an upload, a file of a URL, a post of the site, or the text that was kept."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from urllib.parse import unquote, urlsplit
from uuid import UUID

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.exceptions import WpAiError
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.models import Document, DocumentText, DocumentUpload, Tenant
from django_wp_ai.rag.extract import Extracted, ExtractionFailed, cached, extract
from django_wp_ai.rag.extract.html import markdown_of
from django_wp_ai.rag.ingest import pulling
from django_wp_ai.rag.ingest.entries import FOR_A_WHILE, Entry, SourceUnreachable, Work
from django_wp_ai.rag.ingest.new import HTML, NewDocument, hash_of, said_by
from django_wp_ai.security import outbound

DOWNLOAD_S = 120.0
EXTRACTIONS_AT_ONCE = 4  # threads that wait for the processes that read; of these EXTRACT_PROCESSES run


async def load(context: JobContext, entries: Sequence[Entry]) -> list[Work]:
    """Each document with its text, or with why there is none; a later job's documents are left to that job."""
    works, uploads = await in_thread(_rows, context.tenant, context.job_id, entries)
    for work in works:
        if work.is_open:
            try:
                await _load(context.tenant, work, uploads.pop(work.document.pk, None))
            except WpAiError as error:
                if isinstance(error, SourceUnreachable) and len(works) == 1:
                    raise  # the whole job is tried again
                work.failure = error
    return works


def _rows(tenant: Tenant, job_id: UUID, entries: Sequence[Entry]) -> tuple[list[Work], dict[int, DocumentUpload]]:
    mine = Document.objects.for_tenant(tenant)
    mine.living().filter(job_id=job_id, status=Document.Status.FAILED).update(status=Document.Status.PENDING)
    documents = mine.in_bulk([entry.document for entry in entries])
    works = []
    for entry in entries:
        document = documents.get(entry.document)
        if document is not None:
            works.append(Work(entry, document, fields=entry.fields, outcome=_outcome(document, job_id)))
    keys = [work.entry.upload for work in works if work.is_open and work.entry.upload]
    uploads = DocumentUpload.objects.for_tenant(tenant).filter(pk__in=keys)
    return works, {upload.document_id: upload for upload in uploads}


def _outcome(document: Document, job_id: UUID) -> str:
    """What became of it on an attempt before, or by others; empty where it is this job's to be done."""
    if document.job_id != job_id or document.deleted_at is not None:
        return "superseded"
    return "indexed" if document.status == Document.Status.INDEXED else ""


async def _load(tenant: Tenant, work: Work, upload: DocumentUpload | None) -> None:
    entry = work.entry
    if upload is not None:
        await _read(tenant, work, bytes(upload.body), mime=upload.mime, filename=upload.filename)
        work.hash = entry.hash
    elif entry.url:
        await _fetch(tenant, work, entry.url)
    elif entry.is_pulled:
        await _pull(tenant, work)
    elif entry.upload is None:
        kept = await in_thread(DocumentText.objects.filter(document=work.document).first)
        if kept is None:
            raise JobFailed("Nothing is kept of this document; hand it in again.", code="gone")
        work.text, work.size_bytes, work.hash = kept.text, work.document.size_bytes, entry.hash
    else:
        raise JobFailed("What was handed in is not kept any more; hand it in again.", code="gone")
    if not work.is_open:
        return
    work.text = work.text.replace("\x00", "")
    if not work.text.strip():
        raise JobFailed("There is no text in it.", code="empty")
    is_known = work.hash == work.document.content_hash and work.document.version > 0 and not entry.again
    if is_known and work.hash and not entry.hash:
        work.outcome = "unchanged"  # what was fetched is what is indexed


async def _fetch(tenant: Tenant, work: Work, url: str) -> None:
    """A file by its URL, through the client for foreign ones."""
    with tempfile.TemporaryFile() as file:
        try:
            reply = await outbound.download(
                url,
                to=file,
                allowed_hosts=tenant.callback_hosts,
                max_bytes=settings.max_upload_bytes,
                timeout_s=DOWNLOAD_S,
            )
        except outbound.OutboundError as error:
            if error.code in FOR_A_WHILE:
                raise SourceUnreachable(str(error)) from None
            raise JobFailed(f"The file can't be fetched. {error}", code=error.code) from None
        if reply.status == 429 or reply.status >= 500:
            raise SourceUnreachable(f"The file's server answered {reply.status}.")
        if not 200 <= reply.status < 300:
            raise JobFailed(f"The file can't be fetched: its server answered {reply.status}.", code="fetch_failed")
        file.seek(0)
        content = file.read()
    mime = work.fields.mime or reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()[:127]
    name = unquote(urlsplit(url).path).rpartition("/")[2][:255] or "download"
    work.hash = hash_of(_as_new(work), content, mime)
    await _read(tenant, work, content, mime=mime, filename=name)


async def _pull(tenant: Tenant, work: Work) -> None:
    """A post as the site has it now."""
    try:
        found = await pulling.pull(tenant, work.document.source_id)
    except pulling.NotPublic:
        work.outcome = "deleted"
        return
    work.fields = work.fields.model_copy(
        update={
            "title": found.title or work.fields.title,
            "url": found.url or work.fields.url,
            "post_type": found.post_type or work.fields.post_type,
            "language": found.language or work.fields.language,
            "tags": list(found.tags) or work.fields.tags,
            "metadata": {**work.fields.metadata, **found.metadata},
        }
    )
    work.document.modified_at = found.modified_at or work.document.modified_at
    if not found.html and found.filename:  # of the media library
        await _fetch(tenant, work, found.url)
        return
    said = await asyncio.to_thread(said_by, found.html)
    work.hash = hash_of(_as_new(work), said.encode(), HTML)
    await _read(tenant, work, found.html.encode(), mime=HTML, filename="")
    if not work.text.strip():
        work.outcome = "deleted"  # what it said before, the site says no more


async def _read(tenant: Tenant, work: Work, content: bytes, *, mime: str, filename: str) -> None:
    """``filename`` is empty for what came as text or HTML in a body; all else is a file, which nobody trusts."""
    work.size_bytes = len(content)
    if filename:
        found = await _extract(tenant, content, mime, filename)
        work.text, mime = found.text, found.mime
        title = work.fields.title or found.title.replace("\x00", "")[:500]
        work.fields = work.fields.model_copy(update={"title": title})
    elif mime == HTML:
        work.text = await asyncio.to_thread(markdown_of, content.decode("utf-8", "replace"))
    else:
        work.text = content.decode("utf-8", "replace")
    work.fields = work.fields.model_copy(update={"mime": mime[:127]})


def _as_new(work: Work) -> NewDocument:
    fields = work.fields
    return NewDocument(
        source_id=work.document.source_id,
        title=fields.title,
        url=fields.url,
        post_type=fields.post_type,
        language=fields.language,
        tags=tuple(fields.tags),
        metadata=fields.metadata,
    )


async def _extract(tenant: Tenant, content: bytes, mime: str, filename: str) -> Extracted:
    """A file's text, also as it was read before. It may take minutes: on a thread that no database work waits for."""
    named = {"mime": mime, "filename": filename}
    kept = await in_thread(partial(cached.find, tenant, content, **named))
    if kept is not None:
        return kept
    loop = asyncio.get_running_loop()
    found: Extracted | ExtractionFailed
    try:
        found = await loop.run_in_executor(_extractors(), partial(extract, content, **named))
    except ExtractionFailed as error:
        found = error
    return await in_thread(partial(cached.keep, tenant, content, found, **named))


@cache
def _extractors() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=EXTRACTIONS_AT_ONCE, thread_name_prefix="django-wp-ai-extract")
