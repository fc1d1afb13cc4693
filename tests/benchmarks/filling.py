"""Sites of a corpus as rows, by COPY: ingest is measured elsewhere."""

from __future__ import annotations

import sys
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from django.db import connection

from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.rag.search.lexemes import lexemes_of
from tests.benchmarks.corpus import MODEL, Corpus, Maker, Site, packed, word

RARE_TAG, RARE = "rare", 100  # on one passage of so many

_COLUMNS = (
    'tenant_id, document_id, version, is_live, ordinal, content, content_hash, heading_path, start, "end", '
    "token_count, language, post_type, tags, embedding_model, dimensions, embedding, next_embedding_model, lexemes, "
    "term_count, created_at"
)
_WORDS_INDEX = "SELECT pg_get_indexdef('wpai_chunk_lexemes'::regclass)"


def fill(corpus: Corpus, maker: Maker) -> list[tuple[Tenant, Site]]:
    """Write all sites; gives those that were written."""
    filled = []
    with connection.cursor() as cursor:  # made once over all rows: how quick ingest is, is measured elsewhere
        cursor.execute(_WORDS_INDEX)
        words_index = cursor.fetchone()[0]
        cursor.execute("DROP INDEX wpai_chunk_lexemes")
    for number, site in enumerate(maker.sites()):
        tenant = Tenant.objects.create(slug=f"bench-{number}", name=f"Site {number}")
        documents = [
            Document(tenant=tenant, source_id=f"post-{at}", title=f"Post {at}", url=f"https://example.org/{at}")
            for at in range(int(site.documents[-1]) + 1)
        ]
        _copy(corpus, tenant, Document.objects.bulk_create(documents, batch_size=1000), site)
        filled.append((tenant, replace(site, vectors=None)))
        if number % 20 == 0:
            print(f"  site {number}: {len(site.documents)} passages", file=sys.stderr, flush=True)
    with connection.cursor() as cursor:
        cursor.execute(words_index)
        cursor.execute("VACUUM ANALYZE django_wp_ai_chunk")
    return filled


def _copy(corpus: Corpus, tenant: Tenant, documents: list[Document], site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE IF NOT EXISTS made (document_id bigint, ordinal int, content text, hash text,"
                       " tags text, embedding halfvec, lexemes text, terms int)")  # fmt: skip
        cursor.execute("TRUNCATE made")
        with cursor.cursor.copy("COPY made FROM STDIN (FORMAT binary)") as copy:
            copy.set_types(["int8", "int4", "text", "text", "text", "bytea", "text", "int4"])
            for row in range(len(site.documents)):
                copy.write_row(_row(tenant, documents, site, row))
        cursor.execute(
            f"INSERT INTO {Chunk._meta.db_table} ({_COLUMNS}) SELECT %s, document_id, 1, true, ordinal, content, hash,"
            " '[]', 0, 0, terms, 'en', 'post', tags::jsonb, %s, %s, embedding, '', lexemes::tsvector, terms, now()"
            " FROM made",
            [tenant.pk, MODEL, corpus.dimensions],
        )


def _row(tenant: Tenant, documents: list[Document], site: Site, row: int) -> tuple[Any, ...]:
    document = documents[int(site.documents[row])]
    content = " ".join(map(word, site.words[row].tolist()))
    lexemes, terms = lexemes_of(tenant.pk, (document.title, content), "en")
    tags = f'["{RARE_TAG}"]' if row % RARE == 0 else "[]"
    digest = blake2b(content.encode(), digest_size=32).hexdigest()
    return (document.pk, row, content, digest, tags, packed(site.vectors[row]), lexemes, terms)
