"""What searches need beside the rows: the words of passages, and the indexes over their vectors."""

from django_wp_ai.rag.index.building import build, rebuild_all, rewrite_words
from django_wp_ai.rag.index.inspecting import (
    IndexHealth,
    Recall,
    health,
    missing_embeddings,
    missing_words,
    models_in_use,
    recall,
)
from django_wp_ai.rag.index.keeping import make_missing, start_making
from django_wp_ai.rag.index.naming import name_of
from django_wp_ai.rag.index.vectors import drop, ensure, rebuild
from django_wp_ai.rag.index.words import analyse, chunks_written

__all__ = [
    "IndexHealth",
    "Recall",
    "analyse",
    "build",
    "chunks_written",
    "drop",
    "ensure",
    "health",
    "make_missing",
    "missing_embeddings",
    "missing_words",
    "models_in_use",
    "name_of",
    "rebuild",
    "rebuild_all",
    "recall",
    "rewrite_words",
    "start_making",
]
