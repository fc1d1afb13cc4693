"""Find the passages of a site that answer a question: by meaning, by words, or by both."""

from django_wp_ai.rag.search.flow import find, search
from django_wp_ai.rag.search.hits import Filters, Hit, Mode

__all__ = ["Filters", "Hit", "Mode", "find", "search"]
