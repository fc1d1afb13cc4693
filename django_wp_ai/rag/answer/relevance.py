"""Whether what was found can have an answer at all; below that no model is asked.

Measured on ``tests/data/eval`` with the offline embeddings: see docs/answers.md for the figures. The floor is low on
purpose. It stops what the site has nothing about; whether passages on the subject answer the question is for the model
to say, and for the check of its citations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django_wp_ai.conf import settings
from django_wp_ai.rag.search import Hit, Mode
from django_wp_ai.rag.search.terms import terms, wanted
from django_wp_ai.rag.search.wish import MAX_QUERY_TERMS

#: Share of the question's terms that one passage must have.
WORDS: Final = 0.18
#: The same where the similarity of an embedding that sees meaning says no.
MANY_WORDS: Final = 0.5
#: Of the offline embeddings, which see words and their parts; of others ``RAG_LEAST_SIMILARITY`` says it.
OFFLINE: Final = "offline-hash"
OFFLINE_SIMILARITY: Final = 0.15


def is_worth_asking(query: str, hits: Sequence[Hit], *, mode: Mode, model: str) -> bool:
    """Whether a passage is near enough in meaning, or has enough of the question's words.

    How near is near differs by embedding model, so with 0 in ``RAG_LEAST_SIMILARITY`` all that has a vector passes.
    """
    sees_meaning = mode != "text" and OFFLINE not in model
    if mode != "text":
        least = settings.rag_least_similarity if sees_meaning else OFFLINE_SIMILARITY
        if any(hit.vector is not None and hit.vector >= least for hit in hits):
            return True
    return any(share_of_words(query, hit) >= (MANY_WORDS if sees_meaning else WORDS) for hit in hits)


def share_of_words(query: str, hit: Hit) -> float:
    """How many of the different terms of a question a passage has, of all; in the passage's language."""
    asked = wanted(query, [hit.language], limit=MAX_QUERY_TERMS)
    if not asked:
        return 0.0
    held = set(terms("\n".join((hit.title, *hit.heading_path, hit.content)), hit.language))
    return sum(any(_has(held, form) for form in forms) for forms in asked) / len(asked)


def _has(held: set[str], form: str) -> bool:
    return any(term.startswith(form[:-1]) for term in held) if form.endswith("*") else form in held
