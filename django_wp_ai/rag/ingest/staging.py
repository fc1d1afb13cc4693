"""The passages of documents' next versions: what has a vector already is written, the rest is missing. Blocking.

They are rows that no search sees. A job that was cut off finds them again, and so does one that takes over from
another: nothing is embedded twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.utils import timezone

from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.rag.index import analyse
from django_wp_ai.rag.ingest.copying import insert
from django_wp_ai.rag.ingest.entries import Passage, Work
from django_wp_ai.rag.ingest.halves import half

AT_ONCE = 200
SAID = ("version", "content_hash", "embedding_model", "language", "tags")
Vector = Any  # a list of numbers, or pgvector's own
Place = tuple[Work, Passage]


def stage(tenant: Tenant, job_id: UUID, works: Sequence[Work], model: str) -> list[Place]:
    """Write what has a vector by ``model`` anywhere in the site's index; what has none.

    Called in a transaction that holds the job.
    """
    own(tenant, job_id, works)
    left = _not_written(tenant, [work for work in works if work.is_open], model)
    missing: list[Place] = []
    for at in range(0, len(left), AT_ONCE):
        some = left[at : at + AT_ONCE]
        vectors = _known(tenant, {passage.hash for _, passage in some}, model)
        write(tenant, [place for place in some if place[1].hash in vectors], vectors, model)
        missing += [place for place in some if place[1].hash not in vectors]
    return missing


def own(tenant: Tenant, job_id: UUID, works: Sequence[Work]) -> None:
    """Lock the documents, in one order; those that are another job's by now, or gone, are superseded."""
    ids = [work.document.pk for work in works if work.is_open]
    mine = Document.objects.for_tenant(tenant).living().filter(pk__in=ids, job_id=job_id)
    held = {row.pk: row for row in mine.select_for_update(no_key=True).order_by("pk")}
    for work in works:
        if work.is_open and work.document.pk in held:
            work.document.version = held[work.document.pk].version
        elif work.is_open:
            work.outcome = "superseded"


def write(tenant: Tenant, places: Sequence[Place], vectors: Mapping[str, Vector], model: str) -> None:
    """Rows of the next versions, with their vectors by the passages' hashes, and with what the text leg needs."""
    rows = []
    for work, passage in places:
        row = _row(tenant, work, passage, vectors[passage.hash], model)
        analyse([row], title=work.fields.title)
        rows.append(row)
    insert(rows)


def _not_written(tenant: Tenant, works: Sequence[Work], model: str) -> list[Place]:
    """Passages that are no rows of the next version yet. Rows that belong to another state of it go.

    Their vectors are taken over where the same text stands at another place now.
    """
    by_document = {work.document.pk: work for work in works}
    staged = Chunk.objects.for_tenant(tenant).filter(document__in=by_document, is_live=False)
    kept: set[tuple[int, int]] = set()
    others: list[int] = []
    for pk, document_id, ordinal, *found in staged.values_list("pk", "document_id", "ordinal", *SAID):
        if found == _wanted(by_document[document_id], ordinal, model):
            kept.add((document_id, ordinal))
        else:
            others.append(pk)
    left = [(w, p) for w in works for p in w.passages if (w.document.pk, p.ordinal) not in kept]
    if not others:
        return left
    rows = staged.filter(pk__in=others)
    vectors = dict(rows.filter(embedding_model=model).values_list("content_hash", "embedding"))
    rows.delete()
    write(tenant, [place for place in left if place[1].hash in vectors], vectors, model)
    return [place for place in left if place[1].hash not in vectors]


def _wanted(work: Work, ordinal: int, model: str) -> list[Any] | None:
    """What the row of this place says when it is right."""
    if ordinal >= len(work.passages):
        return None
    content_hash = work.passages[ordinal].hash
    return [work.document.version + 1, content_hash, model, work.language, list(work.fields.tags)]


def _known(tenant: Tenant, hashes: set[str], model: str) -> dict[str, Vector]:
    """Vectors of the same texts by the same model that the site has already, also those for a move to that model."""
    rows = Chunk.objects.for_tenant(tenant).filter(content_hash__in=hashes)
    serving = rows.filter(embedding_model=model, embedding__isnull=False)
    found = dict(serving.values_list("content_hash", "embedding"))
    if len(found) < len(hashes):
        coming = rows.filter(next_embedding_model=model, next_embedding__isnull=False)
        found = {**dict(coming.values_list("content_hash", "next_embedding")), **found}
    return found


def _row(tenant: Tenant, work: Work, passage: Passage, vector: Vector, model: str) -> Chunk:
    embedding = half(vector)
    return Chunk(
        tenant=tenant,
        document=work.document,
        version=work.document.version + 1,
        is_live=False,
        ordinal=passage.ordinal,
        content=passage.content,
        content_hash=passage.hash,
        heading_path=list(passage.heading_path),
        start=passage.start,
        end=passage.end,
        token_count=passage.token_count,
        language=work.language,
        post_type=work.fields.post_type,
        tags=list(work.fields.tags),
        embedding_model=model,
        dimensions=embedding.dimensions(),
        embedding=embedding,
        created_at=timezone.now(),
    )
