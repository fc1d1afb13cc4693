"""Whether the indexes over vectors are there, whole, and finding what a comparison of everything finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Count, Sum

from django_wp_ai.conf import settings
from django_wp_ai.models import Chunk, Document, SiteIndex, Tenant
from django_wp_ai.rag.index.naming import MAX_DIMENSIONS, name_of
from django_wp_ai.rag.index.vectors import leftovers
from django_wp_ai.rag.search.postgres import vector_text
from django_wp_ai.rag.search.statement import CHUNKS, SCOPE, condition, distance_to
from django_wp_ai.rag.search.wish import depth_of

WANTED_VERSION = (0, 8, 4)  # of pgvector: earlier ones have defects in parallel builds and in vacuum

_INDEX = """
SELECT i.indisvalid, pg_relation_size(c.oid), greatest(c.reltuples, 0)::bigint
FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid
WHERE c.relname = %s AND i.indrelid = 'django_wp_ai_chunk'::regclass
"""


@dataclass(frozen=True, slots=True)
class IndexHealth:
    """The index of one model. ``rows``: live passages with such a vector; ``known_rows``: as of the last analyze."""

    model: str
    dimensions: int
    name: str
    exists: bool
    valid: bool
    size_bytes: int
    rows: int
    known_rows: int
    leftovers: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """What is wrong with it; empty: nothing."""
        if self.dimensions > MAX_DIMENSIONS:
            return f"more than {MAX_DIMENSIONS} dimensions can't be indexed: searches compare every passage"
        if not self.exists:
            return "missing: searches compare every passage"
        if not self.valid:
            return "left half made: searches compare every passage"
        names = ", ".join(self.leftovers)
        return f"a rebuild broke off and left {names}, which slows each write: rebuild it" if names else ""


@dataclass(frozen=True, slots=True)
class Recall:
    """Of so many questions, the share of the exact ``k`` nearest that the index found: of all, and of the worst."""

    questions: int
    mean: float
    worst: float


def pgvector_version(connection: BaseDatabaseWrapper) -> tuple[int, ...] | None:
    """The version of the extension in this database; None where it is not there. Blocking."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT extversion FROM pg_extension WHERE extname = 'vector'")
        row = cursor.fetchone()
    return tuple(int(part) for part in row[0].split(".") if part.isdigit()) if row else None


def models_in_use() -> list[tuple[str, int]]:
    """Models and dimensions of live passages. Blocking."""
    embedded = Chunk.objects.filter(is_live=True, embedding__isnull=False)
    found = embedded.order_by().values_list("embedding_model", "dimensions").distinct()
    return sorted((model, size) for model, size in found if model and size)


def models_of_large_sites() -> list[tuple[str, int]]:
    """Those of sites with more passages than a search compares one by one. Blocking."""
    sizes = Document.objects.living().order_by().values("tenant").annotate(passages=Sum("chunk_count"))
    large = sizes.filter(passages__gt=settings.rag_exact_chunks).values("tenant")
    found = SiteIndex.objects.filter(tenant__in=large).values_list("embedding_model", "dimensions").distinct()
    return sorted((model, size) for model, size in found if model and size)


def health() -> list[IndexHealth]:
    """One entry for each model in use; none where there is no PostgreSQL. Blocking; counts every live passage."""
    connection = connections[router.db_for_read(Chunk)]
    if connection.vendor != "postgresql":
        return []
    return [_health(connection, model, dimensions) for model, dimensions in models_in_use()]


def missing_embeddings() -> int:
    """Live passages without a vector: only words find them. Blocking."""
    return Chunk.objects.filter(is_live=True, embedding=None).count()


def missing_words() -> int:
    """Live passages that were never analysed: no words find them. Blocking."""
    return Chunk.objects.filter(is_live=True, lexemes=None).count()


def _health(connection: BaseDatabaseWrapper, model: str, dimensions: int) -> IndexHealth:
    name = name_of(model, dimensions)
    with connection.cursor() as cursor:
        cursor.execute(_INDEX, [name])
        valid, size_bytes, known_rows = cursor.fetchone() or (None, 0, 0)
    rows = Chunk.objects.filter(is_live=True, embedding_model=model, dimensions=dimensions).aggregate(n=Count("id"))[
        "n"
    ]
    left = tuple(leftovers(connection, model, dimensions))
    return IndexHealth(model, dimensions, name, valid is not None, bool(valid), size_bytes, rows, known_rows, left)


def recall(tenant: Tenant, *, sample: int = 50, k: int = 10) -> Recall | None:
    """How much of a comparison with every passage the index finds for this site, asked with its own vectors.

    Small sites are searched exactly whatever this says. None without PostgreSQL, vectors or index. Blocking.
    """
    connection = connections[router.db_for_read(Chunk)]
    if connection.vendor != "postgresql":
        return None
    model = (
        Chunk.objects.for_tenant(tenant).live().filter(embedding__isnull=False).order_by()
        .values_list("embedding_model", "dimensions").annotate(n=Count("id")).order_by("-n").first()
    )  # fmt: skip
    if model is None or not _health(connection, model[0], model[1]).valid:
        return None
    asked = _sample(connection, tenant.pk, model[0], model[1], sample)
    shares = [_share(connection, tenant.pk, model[0], vector, k) for vector in asked]
    return Recall(len(shares), sum(shares) / len(shares), min(shares))


def _sample(connection: BaseDatabaseWrapper, tenant_id: int, model: str, dimensions: int, size: int) -> list[str]:
    """Vectors half-way between a passage and the one after it: a question is near passages, and is none of them."""
    vector, after = (f"l2_normalize({name}.embedding::halfvec({dimensions}))" for name in ("c", "after"))
    statement = (
        f"SELECT l2_normalize({vector} + coalesce({after}, {vector}))::text"  # noqa: S608
        f" FROM (SELECT * FROM {CHUNKS} c WHERE {SCOPE} AND {_literal(model, dimensions)}"
        " ORDER BY random() LIMIT %(size)s) AS c"
        f" LEFT JOIN {CHUNKS} after ON after.document_id = c.document_id AND after.version = c.version"
        " AND after.ordinal = c.ordinal + 1 AND after.embedding_model = c.embedding_model"
        " AND after.dimensions = c.dimensions"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, {"tenant": tenant_id, "size": size})
        return [vector for (vector,) in cursor.fetchall()]


def _share(connection: BaseDatabaseWrapper, tenant_id: int, model: str, vector: str, k: int) -> float:
    exact = nearest(connection, tenant_id, model, vector, k, exact=True)
    return len(exact & nearest(connection, tenant_id, model, vector, k, exact=False)) / max(1, len(exact))


def nearest(
    connection: BaseDatabaseWrapper, tenant_id: int, model: str, vector: str | Sequence[float], k: int, *, exact: bool
) -> set[int]:
    """The nearest passages by the index, walked as far as a search walks it, or by a comparison with all. Blocking."""
    text = vector if isinstance(vector, str) else vector_text(vector)
    dimensions = text.count(",") + 1
    distance = distance_to(dimensions, "%(vector)s::halfvec")
    switched = "enable_indexscan" if exact else "enable_sort"  # without sorting only the index gives an order
    with transaction.atomic(connection.alias), connection.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(%s, 'off', true), set_config('hnsw.ef_search', %s, true),"
            " set_config('hnsw.iterative_scan', 'relaxed_order', true)",
            [switched, str(min(1000, max(settings.rag_ef_search, depth_of(k))))],
        )
        cursor.execute(
            f"SELECT id, {distance} FROM {CHUNKS} c WHERE {SCOPE} AND {_literal(model, dimensions)}"  # noqa: S608
            f" ORDER BY {distance} LIMIT %(depth)s",
            {"tenant": tenant_id, "vector": text, "depth": depth_of(k)},
        )
        found = sorted(cursor.fetchall(), key=lambda row: (row[1], row[0]))
        return {chunk_id for chunk_id, _ in found[:k]}


def _literal(model: str, dimensions: int) -> str:
    return condition(model, dimensions, "c.").replace("%", "%%")
