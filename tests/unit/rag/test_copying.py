"""What COPY writes is what an INSERT writes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DataError, IntegrityError, transaction
from pgvector import HalfVector

from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.rag.index import analyse
from django_wp_ai.rag.ingest.copying import insert
from django_wp_ai.rag.ingest.halves import half
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db
TEXT = "Ferries 12 and wp_insert_post, l'été: „Größe“, 港は九時に開きます。\tTabs\nand \\N, 😀 it's \"quoted\"."
NUMBERS = [0.0, -1.0, 0.1, 6.1e-5, 5.96e-8, 65504.0, 1 / 3]


@pytest.fixture
def document() -> Document:
    return Document.objects.create(tenant=TenantFactory.create(), source_id="post-1", content_hash="0" * 64)


def chunk(document: Document, **fields: Any) -> Chunk:
    tenant: Tenant = document.tenant
    new = Chunk(
        tenant=tenant,
        document=document,
        version=2,
        is_live=False,
        ordinal=1,
        content=TEXT,
        content_hash="a" * 64,
        heading_path=["Größe", 'A "b" \\', "港"],
        start=3,
        end=2**31 - 1,
        token_count=12,
        language="de",
        post_type="post",
        tags=["x", "y z"],
        embedding_model="offline-embedding",
        dimensions=len(NUMBERS),
        embedding=half(NUMBERS),
        created_at=datetime(2026, 11, 27, 8, 1, 2, 345678, tzinfo=UTC),
    )
    for name, value in fields.items():
        setattr(new, name, value)
    analyse([new], title="The harbour, the harbour")
    return new


def stored(document: Document, ordinal: int) -> dict[str, Any]:
    row: dict[str, Any] = Chunk.objects.filter(document=document, ordinal=ordinal).values().get()
    for name in ("embedding", "next_embedding"):
        row[name] = row[name].to_list() if isinstance(row[name], HalfVector) else row[name]
    return {name: value for name, value in row.items() if name not in {"id", "ordinal", "created_at"}}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"content": "", "heading_path": [], "tags": [], "language": ""},
        {"content": "word " * 400},
        {"embedding": None, "dimensions": None, "embedding_model": ""},
        {"next_embedding": half(NUMBERS), "next_dimensions": len(NUMBERS), "next_embedding_model": "other"},
    ],
)
def test_both_ways_write_the_same_row(document: Document, fields: dict[str, Any]) -> None:
    Chunk.objects.bulk_create([chunk(document, **fields)])
    insert([chunk(document, **fields, ordinal=2), chunk(document, **fields, ordinal=3)])
    assert stored(document, 1) == stored(document, 2) == stored(document, 3)


@pytest.mark.postgresql
def test_the_moment_is_kept_to_the_microsecond(document: Document) -> None:
    insert([chunk(document)])
    assert Chunk.objects.get(document=document).created_at == datetime(2026, 11, 27, 8, 1, 2, 345678, tzinfo=UTC)


def test_nothing_is_written_of_no_rows(document: Document) -> None:
    insert([])
    assert not Chunk.objects.filter(document=document).exists()


@pytest.mark.postgresql
@pytest.mark.parametrize(
    ("fields", "error"), [({"ordinal": 7}, IntegrityError), ({"content_hash": "b" * 65}, DataError)]
)
def test_what_the_database_refuses_is_an_error_of_django(
    document: Document, fields: dict[str, Any], error: type[Exception]
) -> None:
    insert([chunk(document, ordinal=7)])
    with pytest.raises(error), transaction.atomic():
        insert([chunk(document, ordinal=8), chunk(document, **fields)])
    assert Chunk.objects.filter(document=document).count() == 1
