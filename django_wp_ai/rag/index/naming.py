"""How the index over a model's vectors is named and written."""

from __future__ import annotations

from hashlib import sha256

from django_wp_ai.exceptions import Invalid
from django_wp_ai.rag.search.statement import CHUNKS, condition

MAX_DIMENSIONS = 4000  # of a halfvec that pgvector can index


def name_of(model: str, dimensions: int) -> str:
    """The same for the same model and dimensions; short, whatever the model is called."""
    return f"wpai_hnsw_{dimensions}_{sha256(model.encode()).hexdigest()[:16]}"


def definition(model: str, dimensions: int, *, concurrently: bool) -> str:
    """The statement that makes the index; raises Invalid for what can't be indexed."""
    check(model, dimensions)
    return (
        f"CREATE INDEX {'CONCURRENTLY ' if concurrently else ''}{name_of(model, dimensions)} ON {CHUNKS} "
        f"USING hnsw ((embedding::halfvec({dimensions})) halfvec_cosine_ops) "
        f"WHERE {condition(model, dimensions)} AND is_live"
    )


def check(model: str, dimensions: int) -> None:
    """Raise Invalid where there can be no index, and say what to do."""
    if not model or dimensions < 1:
        raise Invalid("An index is made for a model and its number of dimensions.")
    if dimensions > MAX_DIMENSIONS:
        raise Invalid(
            f"{model} gives {dimensions} dimensions; pgvector indexes up to {MAX_DIMENSIONS}. Searches compare every "
            f"passage of a site. Ask for fewer dimensions, or use another embedding model."
        )
