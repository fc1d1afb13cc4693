"""Passages of a site as ingest leaves them: analysed, embedded, live."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.providers.feature_hashing import vector
from django_wp_ai.rag import index

MODEL = "offline:offline-hash-2"
SIZE = 2048  # in fewer numbers the offline embeddings are no match for words


def embedded(text: str) -> list[float]:
    return list(vector(text, SIZE))


def write(
    tenant: Tenant,
    source_id: str,
    contents: Iterable[str],
    *,
    title: str = "",
    vectors: Sequence[Sequence[float]] | None = None,
    **fields: Any,
) -> list[Chunk]:
    """A document of these passages; ``fields`` are those of the chunks."""
    document, _ = Document.objects.get_or_create(
        tenant=tenant,
        source_id=source_id,
        defaults={"title": title, "url": f"https://example.org/{source_id}", "status": "indexed"},
    )
    values = {"language": "en", "embedding_model": MODEL, **fields}
    chunks = [
        Chunk(
            tenant=tenant,
            document=document,
            ordinal=at,
            content=content,
            content_hash=sha256(content.encode()).hexdigest(),
            embedding=list(vectors[at]) if vectors else embedded(content),
            dimensions=len(vectors[at]) if vectors else SIZE,
            **values,
        )
        for at, content in enumerate(contents)
    ]
    index.analyse(chunks, title=title)
    return Chunk.objects.bulk_create(chunks)
