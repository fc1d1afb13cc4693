"""Find the passages of a site that answer a question: by meaning, by words, or by both."""

from django_wp_ai.rag.search.flow import MAX_K, MAX_QUERY_CHARS, find, search
from django_wp_ai.rag.search.hits import Filters, Hit, Mode

__all__ = ["MAX_K", "MAX_QUERY_CHARS", "Filters", "Hit", "Mode", "find", "search"]
