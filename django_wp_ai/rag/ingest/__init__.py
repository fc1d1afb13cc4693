"""Documents from being handed in to being searched, and out again."""

from django_wp_ai.rag.ingest.accepting import Accepted, accept, accept_many, reindex
from django_wp_ai.rag.ingest.background import start_due, start_reembed, start_sync
from django_wp_ai.rag.ingest.deleting import delete
from django_wp_ai.rag.ingest.listing import Page, find, page
from django_wp_ai.rag.ingest.new import NewDocument
from django_wp_ai.rag.ingest.operator import operator_of
from django_wp_ai.rag.ingest.telling import describe

__all__ = [
    "Accepted",
    "NewDocument",
    "Page",
    "accept",
    "accept_many",
    "delete",
    "describe",
    "find",
    "operator_of",
    "page",
    "reindex",
    "start_due",
    "start_reembed",
    "start_sync",
]
