"""A site moves to another embedding model or prefix: all vectors are made beside those that serve, then change places.

Documents that come meanwhile are embedded by the old model, and by the new one before the change.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import connections, router
from django.db.models import F, Q, QuerySet

from django_wp_ai.bridge import in_thread
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.rag.embedding import of_passages, wanted_model
from django_wp_ai.rag.ingest.background import REEMBED
from django_wp_ai.rag.ingest.cutting import embedded_text
from django_wp_ai.rag.ingest.halves import half
from django_wp_ai.rag.ingest.revision import locked_index
from django_wp_ai.rag.ingest.vectors import BATCH, once
from django_wp_ai.schemas.base import Strict

_WRITE = (
    "UPDATE django_wp_ai_chunk SET next_embedding = %s, next_embedding_model = %s, next_dimensions = %s WHERE id = %s"
)


class ReembedIn(Strict):
    """The vectors to move to, as ``rag.embedding`` names them."""

    model: str


class ReembedOut(Strict):
    """``moved`` is False where another model is wanted by now, or this one served already."""

    moved: bool
    chunks: int
    embedded: int


@job_kind(REEMBED, input=ReembedIn, output=ReembedOut, deadline_s=24 * 3600, is_internal=True, single=True)
async def reembed(context: JobContext, given: ReembedIn) -> ReembedOut:
    """Embed what is not embedded by the model yet, until nothing is left, and change over in one transaction."""
    tenant, model, sent = context.tenant, given.model, 0
    if not await context.commit(partial(_begin, tenant, model)):
        return ReembedOut(moved=False, chunks=0, embedded=0)
    total = await in_thread(_left(tenant, model).count)
    while True:
        some = await in_thread(_some, tenant, model)
        if some:
            sent += await _embed(context, some, model)
            await context.progress(95 * sent // max(1, total))
        elif (moved := await context.commit(partial(_change_over, tenant, model))) is not None:
            return ReembedOut(moved=True, chunks=moved, embedded=sent)


def _begin(tenant: Tenant, model: str) -> bool:
    """Note where it goes; vectors for another goal are dropped."""
    index = locked_index(tenant)
    if index.embedding_model == model or wanted_model(Tenant.objects.get(pk=tenant.pk)) != model:
        return False
    others = Chunk.objects.for_tenant(tenant).filter(next_embedding__isnull=False).exclude(next_embedding_model=model)
    others.update(next_embedding=None, next_embedding_model="", next_dimensions=None)
    index.next_embedding_model = model
    index.save(update_fields=["next_embedding_model"])
    return True


def _left(tenant: Tenant, model: str) -> QuerySet[Chunk]:
    live = Chunk.objects.for_tenant(tenant).live()
    return live.filter(Q(next_embedding=None) | ~Q(next_embedding_model=model))


def _some(tenant: Tenant, model: str) -> list[Chunk]:
    rows = _left(tenant, model).select_related("document").defer("embedding", "next_embedding")
    return list(rows.order_by("pk")[:BATCH])


async def _embed(context: JobContext, chunks: Sequence[Chunk], model: str) -> int:
    """One call for so many chunks; the same text once."""
    texts = {chunk.pk: embedded_text(chunk.document.title, chunk.heading_path, chunk.content) for chunk in chunks}
    distinct = tuple(dict.fromkeys(texts.values()))

    async def send() -> int:
        embedded = await context.ask_for_vectors(of_passages(distinct, model))
        vectors = dict(zip(distinct, embedded.result.vectors, strict=True))
        if len({len(vector) for vector in vectors.values()}) != 1:
            raise JobFailed("The embedding model gives vectors of several lengths.", code="dimensions_changed")
        made = {pk: vectors[text] for pk, text in texts.items()}
        await context.commit(partial(_write, made, model))
        return len(distinct)

    keys = ",".join(f"{pk}:{chunk.content_hash}" for pk, chunk in zip(texts, chunks, strict=True))
    return await once(context, f"{model} {keys}", send)


def _write(vectors: dict[int, Any], model: str) -> None:
    """Rows that were deleted meanwhile stay deleted."""
    connection = connections[router.db_for_write(Chunk)]
    field = Chunk._meta.get_field("next_embedding")
    rows = [
        (field.get_db_prep_save(half(vector), connection), model, len(vector), pk) for pk, vector in vectors.items()
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_WRITE, rows)


def _change_over(tenant: Tenant, model: str) -> int | None:
    """Let the new vectors serve; None while a passage has none. Versions that are being made are made anew."""
    index = locked_index(tenant)
    if _left(tenant, model).exists():
        return None
    live = Chunk.objects.for_tenant(tenant).live()
    index.dimensions = live.values_list("next_dimensions", flat=True).first()
    moved = live.update(
        embedding=F("next_embedding"),
        embedding_model=F("next_embedding_model"),
        dimensions=F("next_dimensions"),
        next_embedding=None,
        next_embedding_model="",
        next_dimensions=None,
    )
    index.embedding_model, index.next_embedding_model = model, ""
    index.revision += 1
    index.save()
    return moved
