"""A passage's terms as a ``tsvector``, each marked with its tenant.

The mark keeps what one site writes out of another's counts: PostgreSQL's index then has lists of passages per tenant
and term, and a term that is everywhere on one site costs the others nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from django_wp_ai.rag.search.terms import terms

MAX_PLACES = 255  # that a tsvector keeps of a term


def lexemes_of(tenant_id: int, texts: Sequence[str], language: str) -> tuple[str, int]:
    """The terms of all ``texts`` in the notation of a ``tsvector``, and how many there are.

    Positions only number a term's occurrences: nothing asks for neighbours, and small numbers take little room.
    """
    found = [term for text in texts for term in terms(text, language)]
    written = (
        f"'{mark(tenant_id, term)}':{','.join(map(str, range(1, min(count, MAX_PLACES) + 1)))}"
        for term, count in sorted(Counter(found).items())
    )
    return " ".join(written), len(found)


def mark(tenant_id: int, term: str) -> str:
    """The term as it stands in the index; terms hold letters, digits and underscores only."""
    return f"{tenant_id}.{term}"


def counts(lexemes: str) -> dict[str, int]:
    """How often each marked term occurs, read from what ``lexemes_of`` wrote."""
    parted = (entry.rpartition(":") for entry in lexemes.split())
    return {name.strip("'"): places.count(",") + 1 for name, _, places in parted}
