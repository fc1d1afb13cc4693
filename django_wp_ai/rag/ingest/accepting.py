"""Documents come in: each is a row, its content is kept, and one job is to index them. Blocking."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs import payload
from django_wp_ai.jobs.create import NewJob, create
from django_wp_ai.jobs.held import one_transaction
from django_wp_ai.models import Document, DocumentText, DocumentUpload, Job, Tenant
from django_wp_ai.rag.ingest.new import NewDocument, check, described
from django_wp_ai.rag.ingest.rows import save_all
from django_wp_ai.security.secrets import UndecryptableSecret

KIND = "ingest"
SCOPE = "rag.write"
#: Of one job: their passages share calls of the embedding model, and one failure is not to hold up a thousand.
MOST_AT_ONCE = 50
FIELDS = ("title", "url", "mime", "post_type", "language", "tags", "metadata")
NOTED = (
    "job",
    "wanted_hash",
    "status",
    "deleted_at",
    "error_code",
    "error_message",
    "updated_at",
    "modified_at",
    *FIELDS,
)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a document: a ``job`` will index it, or is about to; without one there is nothing to be done.

    ``unchanged``: just this is indexed. ``is_outdated``: a later state of it is known already.
    """

    document: Document
    job: Job | None = None
    unchanged: bool = False
    is_outdated: bool = False


def accept(principal: Principal, new: NewDocument, *, request_id: str = "") -> Accepted:
    """Take one document in; raises Forbidden without ``rag.write``, Invalid, TooLarge, RateLimited."""
    return accept_many(principal, [new], request_id=request_id)[0]


def accept_many(principal: Principal, items: Sequence[NewDocument], *, request_id: str = "") -> list[Accepted]:
    """Take up to ``MOST_AT_ONCE`` documents in, in one transaction with the one job that indexes those that changed.

    Of one source id the last one counts. Either all are taken in or, where one breaks a rule, none.
    """
    require_scope(principal, SCOPE)
    if len(items) > MOST_AT_ONCE:
        raise ValueError(f"At most {MOST_AT_ONCE} documents a job.")
    for new in items:
        check(principal.tenant, new)
        new.prepare()
    last = {new.source_id: new for new in items}
    with one_transaction():
        rows = _locked(principal.tenant, last)
        known = {name: _known(rows[name], new) for name, new in last.items()}
        news = [(rows[name], new) for name, new in last.items() if known[name] is None]
        job = _take(principal, news, request_id) if news else None
    return [known[new.source_id] or Accepted(rows[new.source_id], job) for new in items]


def reindex(principal: Principal, documents: Sequence[Document]) -> Job | None:
    """Index up to ``MOST_AT_ONCE`` documents anew from what is kept of them; None where nothing is kept of any.

    Passages that stay the same keep their vectors, so it costs nothing unless cutting or the model has changed.
    """
    require_scope(principal, SCOPE)
    tenant = principal.tenant
    with one_transaction():
        living = Document.objects.for_tenant(tenant).living().filter(pk__in=[document.pk for document in documents])
        mine = living.exclude(status=Document.Status.PENDING, job__status__in=Job.UNFINISHED)  # newer news is under way
        rows = list(mine.select_for_update(of=("self",), no_key=True).order_by("pk")[:MOST_AT_ONCE])
        entries = [entry for row in rows if (entry := _entry_again(tenant, row)) is not None]
        if not entries:
            return None
        job = _job(principal, entries, "")
        chosen = [entry["document"] for entry in entries]
        living.filter(pk__in=chosen).update(job=job, status=Document.Status.PENDING, updated_at=timezone.now())
    return job


def _locked(tenant: Tenant, items: dict[str, NewDocument]) -> dict[str, Document]:
    """The rows, made where they are new, and locked in one order, so that none waits for another in a circle."""
    mine = Document.objects.for_tenant(tenant)
    there = set(mine.filter(source_id__in=items).values_list("source_id", flat=True))
    fresh = [
        Document(tenant=tenant, source_id=name, cost_usd=Decimal(0), **described(new))
        for name, new in sorted(items.items())
        if name not in there
    ]
    Document.objects.bulk_create(fresh, ignore_conflicts=True)
    rows = mine.filter(source_id__in=items).select_for_update(of=("self",), no_key=True).order_by("pk")
    return {row.source_id: row for row in rows.select_related("tenant", "job")}


def _known(row: Document, new: NewDocument) -> Accepted | None:
    """What there is to say where nothing is to be done; None where there is."""
    if _is_outdated(row, new):
        return Accepted(row, is_outdated=True)
    if not new.content_hash or row.wanted_hash != new.content_hash:
        return None
    is_indexed = row.status == Document.Status.INDEXED
    is_coming = row.status == Document.Status.PENDING and row.job is not None and not row.job.is_finished
    if not is_indexed and not is_coming:
        return None
    if new.modified_at is not None and row.modified_at != new.modified_at:
        Document.objects.filter(pk=row.pk).update(modified_at=new.modified_at)
    return Accepted(row, unchanged=True) if is_indexed else Accepted(row, row.job)


def _is_outdated(row: Document, new: NewDocument) -> bool:
    if row.deleted_at is not None and new.seen_at is not None:
        return row.deleted_at >= new.seen_at
    return row.is_older_than_known(new.modified_at)


def _take(principal: Principal, news: Sequence[tuple[Document, NewDocument]], request_id: str) -> Job:
    """Keep the contents, in the place of older ones, and create the job; from now on this is the news of each."""
    tenant, ids = principal.tenant, [row.pk for row, _ in news]
    DocumentUpload.objects.for_tenant(tenant).filter(document__in=ids).delete()
    uploads = {
        row.pk: DocumentUpload(
            tenant=tenant, document=row, body=new.content, mime=new.content_mime, filename=new.filename
        )
        for row, new in news
        if new.content
    }
    DocumentUpload.objects.bulk_create(uploads.values())
    job = _job(principal, [_entry(row, new, uploads.get(row.pk)) for row, new in news], request_id)
    save_all([_noted(row, new, job) for row, new in news], NOTED)
    return job


def _entry(row: Document, new: NewDocument, upload: DocumentUpload | None) -> dict[str, Any]:
    """What the job is to know of one document."""
    return {
        "document": row.pk,
        "upload": None if upload is None else str(upload.pk),
        "url": new.file_url,
        "is_pulled": new.is_pulled,
        "tells": new.tells,
        "fields": described(new),
        "hash": new.content_hash,
    }


def _entry_again(tenant: Tenant, row: Document) -> dict[str, Any] | None:
    if row.status == Document.Status.FAILED and (last := _last_entry(tenant, row)) is not None:
        return {**last, "tells": False}
    uploads = DocumentUpload.objects.for_tenant(tenant).filter(document=row).order_by("-created_at")
    key = uploads.values_list("pk", flat=True).first()
    if key is None and not DocumentText.objects.filter(document=row).exists():
        return None
    return {
        "document": row.pk,
        "upload": None if key is None else str(key),
        "fields": {name: getattr(row, name) for name in FIELDS},
        "hash": row.wanted_hash,
        "tells": False,
        "again": True,
    }


def _last_entry(tenant: Tenant, row: Document) -> dict[str, Any] | None:
    """What the job was told that failed at it, with the fields that came along; None where that is not kept."""
    if row.job is None or not row.job.input_sealed:
        return None
    try:
        told = payload.unseal(row.job.input_sealed)["documents"]
        last: dict[str, Any] | None = next((entry for entry in told if entry["document"] == row.pk), None)
    except (UndecryptableSecret, ValueError, LookupError, TypeError):
        return None
    if last is None or not last.get("upload"):
        return last
    return last if DocumentUpload.objects.for_tenant(tenant).filter(pk=last["upload"]).exists() else None


def _job(principal: Principal, entries: list[dict[str, Any]], request_id: str) -> Job:
    new = NewJob(
        kind=KIND,
        input={"documents": entries},
        request_id=request_id or uuid.uuid4().hex,
        is_silent=True,
        is_internal=True,
    )
    return create(principal, new, scope=SCOPE).job


def _noted(row: Document, new: NewDocument, job: Job) -> Document:
    """Whoever works on older news of it stops."""
    row.job, row.wanted_hash = job, new.content_hash
    row.status, row.deleted_at = Document.Status.PENDING, None
    row.error_code = row.error_message = ""
    row.updated_at = timezone.now()
    if new.modified_at is not None:
        row.modified_at = new.modified_at
    if not row.version:
        for name, value in described(new).items():
            setattr(row, name, value)
    return row
