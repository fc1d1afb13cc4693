"""Fill what the text leg compares."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connections, router

from django_wp_ai.models import Chunk
from django_wp_ai.rag.search.lexemes import lexemes_of

BATCH = 200

_WRITE = """
UPDATE django_wp_ai_chunk AS chunk SET lexemes = made.lexemes::tsvector, term_count = made.terms
FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS made (id, lexemes, terms)
WHERE chunk.id = made.id
"""


def analyse(chunks: Iterable[Chunk], *, title: str) -> None:
    """Set ``lexemes`` and ``term_count`` of chunks that are not saved yet; ``title`` is their document's.

    To be called before ``bulk_create``: a row that is changed later has to go into every index again.
    """
    for chunk in chunks:
        texts = (title, *map(str, chunk.heading_path), chunk.content)
        chunk.lexemes, chunk.term_count = lexemes_of(chunk.tenant_id, texts, chunk.language)


def chunks_written(chunk_ids: Sequence[int]) -> None:
    """Analyse chunks that are stored already, as after a change of a title or of this code. Blocking."""
    for at in range(0, len(chunk_ids), BATCH):
        chunks = list(Chunk.objects.select_related("document").filter(pk__in=chunk_ids[at : at + BATCH]).order_by("pk"))
        for chunk in chunks:
            analyse([chunk], title=chunk.document.title)
        _save(chunks)


def _save(chunks: list[Chunk]) -> None:
    alias = router.db_for_write(Chunk)
    if connections[alias].vendor != "postgresql":
        Chunk.objects.bulk_update(chunks, ["lexemes", "term_count"])
        return
    columns = ([c.pk for c in chunks], [c.lexemes for c in chunks], [c.term_count for c in chunks])
    with connections[alias].cursor() as cursor:
        cursor.execute(_WRITE, columns)
