"""What a site is told of its documents: how each looks, and a callback when it was indexed or not. Blocking."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django_wp_ai.callbacks import outbox
from django_wp_ai.models import Document, Tenant


def tell(tenant: Tenant, document: Document) -> None:
    """Write the callback ``document.indexed`` or ``document.failed``, where the site has a URL for such news."""
    if tenant.callback_url:
        event = "document.failed" if document.status == Document.Status.FAILED else "document.indexed"
        outbox.put(tenant, url=tenant.callback_url, type=event, data=describe(document))


def describe(document: Document) -> dict[str, Any]:
    """The document in the shape of ``GET v1/documents/{source_id}``."""
    error = {"code": document.error_code, "message": document.error_message} if document.error_code else None
    return {
        "id": document.pk,
        "source_id": document.source_id,
        "status": str(document.status),
        "title": document.title,
        "url": document.url,
        "mime": document.mime,
        "metadata": {
            **document.metadata,
            "post_type": document.post_type,
            "lang": document.language,
            "tags": document.tags,
        },
        "version": document.version,
        "chunks": document.chunk_count,
        "tokens": document.token_count,
        "size_bytes": document.size_bytes,
        "cost_usd": None if document.cost_usd is None else f"{document.cost_usd.normalize():f}",
        "error": error,
        "job_id": None if document.job_id is None else str(document.job_id),
        "modified_at": _iso(document.modified_at),
        "indexed_at": _iso(document.indexed_at),
        "created_at": _iso(document.created_at),
        "updated_at": _iso(document.updated_at),
    }


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
