"""What is near to a document in meaning, from the vectors that are there: nobody is asked for it. Blocking."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.jobs.inputs import is_storable
from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.rag.search.flow import candidates_of
from django_wp_ai.rag.search.hits import Filters, Hit

MAX_RELATED: Final = 50
#: Of a very long document its beginning tells what it is about.
MOST_CHUNKS: Final = 200
#: How far into the neighbourhood it is looked, where other documents are far or have many chunks each.
MOST_CANDIDATES: Final = 900


@dataclass(frozen=True, slots=True)
class Related:
    """Another document; ``score`` is the cosine similarity of its nearest chunk to the mean of the first one's."""

    source_id: str
    title: str
    url: str
    score: float


def related(tenant: Tenant, source_id: str, *, k: int = 5) -> list[Related]:
    """The nearest other documents of the site, nearest first; none for a document that has no vectors yet.

    Raises NotFound for what is not there, was never indexed, is deleted, or is another site's.
    """
    if not settings.rag:
        raise NotFound("Retrieval is switched off.")
    if not 1 <= k <= MAX_RELATED:
        raise Invalid(f"From 1 to {MAX_RELATED}.", errors=[{"field": "k", "message": f"From 1 to {MAX_RELATED}."}])
    mine = Document.objects.for_tenant(tenant).living()
    document = mine.filter(source_id=source_id).first() if is_storable(source_id) else None
    if document is None:
        raise NotFound("This site has no such document.")
    own = Chunk.objects.for_tenant(tenant).live().filter(document=document, embedding__isnull=False).order_by("ordinal")
    first = own.values_list("embedding_model", "dimensions").first()
    if first is None:
        if not Chunk.objects.for_tenant(tenant).live().filter(document=document).exists():
            raise NotFound("The document is not indexed.")
        return []
    model, dimensions = first
    alike = own.filter(embedding_model=model, dimensions=dimensions).values_list("embedding", flat=True)
    vector = _mean([_numbers(held) for held in alike[:MOST_CHUNKS]])
    return _nearest(tenant, document, vector, model=model, k=k) if any(vector) else []


def _numbers(embedding: Any) -> list[float]:
    """Releases of pgvector differ in what they give: a list, or a type of their own."""
    return list(embedding.to_list() if hasattr(embedding, "to_list") else embedding)


def _mean(vectors: list[list[float]]) -> list[float]:
    """The middle of their directions."""
    lengths = [sum(value * value for value in vector) ** 0.5 or 1.0 for vector in vectors]
    units = ([value / length for value in vector] for vector, length in zip(vectors, lengths, strict=True))
    return [sum(values) / len(vectors) for values in zip(*units, strict=True)]


def _nearest(tenant: Tenant, document: Document, vector: list[float], *, model: str, k: int) -> list[Related]:
    """Among more and more chunks, until so many documents are among them or there are no more."""
    wanted = 20 + 2 * k  # a search gives three times as many candidates
    while True:
        hits = candidates_of(tenant, query="", vector=vector, model=model, k=wanted, filters=Filters(), mode="vector")
        best: dict[int, Hit] = {}
        for hit in hits:
            if hit.document_id != document.pk and hit.vector is not None:
                best.setdefault(hit.document_id, hit)
        if len(best) >= k or len(hits) < 3 * wanted or 3 * wanted > MOST_CANDIDATES:
            break
        wanted *= 3
    nearest = sorted(best.values(), key=lambda hit: (-(hit.vector or 0.0), hit.document_id))[:k]
    return [Related(hit.source_id, hit.title, hit.url, hit.vector or 0.0) for hit in nearest]
