"""Documents go: a tombstone stays, without text and passages, so that late news can't bring them back. Blocking."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import NotFound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs.held import one_transaction
from django_wp_ai.jobs.inputs import is_storable
from django_wp_ai.models import Chunk, Document, DocumentText, DocumentUpload, Tenant
from django_wp_ai.rag.ingest.accepting import SCOPE
from django_wp_ai.rag.ingest.revision import bump

EMPTY: dict[str, Any] = {
    "status": Document.Status.DELETED,
    "job": None,
    "title": "",
    "url": "",
    "mime": "",
    "tags": [],
    "metadata": {},
    "content_hash": "",
    "wanted_hash": "",
    "error_code": "",
    "error_message": "",
    "size_bytes": 0,
    "chunk_count": 0,
    "token_count": 0,
}
NEVER_SEEN: dict[str, Any] = {"status": Document.Status.DELETED, "cost_usd": Decimal(0)}


def delete(principal: Principal, source_id: str, *, modified_at: datetime | None = None) -> Document:
    """Take a document out of the index; raises NotFound where there is none, Forbidden without ``rag.write``.

    A job that works on it stops at its next step. With ``modified_at``, news of a later state keep the document, and
    news of an earlier one that comes after this, also of a document that was never seen, can't bring it in.
    """
    require_scope(principal, SCOPE)
    with one_transaction():
        if modified_at is not None and is_storable(source_id):
            named = {"tenant": principal.tenant, "source_id": source_id, "modified_at": modified_at}
            gone = Document(**named, **NEVER_SEEN, deleted_at=timezone.now())
            Document.objects.bulk_create([gone], ignore_conflicts=True)
        mine = Document.objects.for_tenant(principal.tenant).filter(source_id=source_id)
        found = mine.select_for_update(no_key=True).first() if is_storable(source_id) else None
        is_there = found is not None and found.deleted_at is None
        if found is not None and not found.is_older_than_known(modified_at):
            if is_there:
                _bury(principal.tenant, [found], modified_at)
            elif modified_at is not None:  # what is older than this news can't bring it back either
                mine.update(modified_at=modified_at)
    if found is None or not is_there:
        raise NotFound("There is no document of this source id.")
    return found


def delete_many(tenant: Tenant, source_ids: Collection[str], *, untouched_since: datetime) -> int:
    """Take out what a site has no more; what was handed in after ``untouched_since`` stays. How many went."""
    with one_transaction():
        mine = Document.objects.for_tenant(tenant).living().filter(updated_at__lt=untouched_since)
        found = list(mine.filter(source_id__in=source_ids).select_for_update(no_key=True).order_by("pk"))
        if found:
            _bury(tenant, found, None)
    return len(found)


def bury_pulled(tenant: Tenant, job_id: UUID, ids: Collection[int]) -> None:
    """Take out what a job was to fetch and the site shows to nobody; called in a transaction that holds the job."""
    mine = Document.objects.for_tenant(tenant).living().filter(pk__in=ids, job_id=job_id)
    if found := list(mine.select_for_update(no_key=True).order_by("pk")):
        _bury(tenant, found, None)


def _bury(tenant: Tenant, documents: list[Document], modified_at: datetime | None) -> None:
    bump(tenant)  # first, as everybody does who changes what is searched: the index's row, then passages
    now = timezone.now()
    ids = [document.pk for document in documents]
    Chunk.objects.for_tenant(tenant).filter(document_id__in=ids).delete()
    DocumentText.objects.filter(document_id__in=ids).delete()
    DocumentUpload.objects.for_tenant(tenant).filter(document_id__in=ids).delete()
    for document in documents:
        for name, value in EMPTY.items():
            setattr(document, name, value)
        document.deleted_at, document.modified_at = now, modified_at or now
        document.save()
