"""How good the rankings are, on the questions about the site in ``tests/data``."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from django_wp_ai.rag.search import find
from tests.factories import TenantFactory
from tests.flows.rag.search import evaluated
from tests.flows.rag.search.passages import MODEL, embedded


@pytest.mark.postgresql
@pytest.mark.django_db
def test_words_rank_as_sqlites_bm25_does_and_both_legs_not_worse_than_either() -> None:
    tenant = TenantFactory.create()
    chunks = evaluated.fill(tenant)

    @cache
    def found(question: str, mode: Any) -> tuple[str, ...]:
        vector = embedded(question)
        hits = find(tenant, query=question, vector=vector, model=MODEL, k=20, mode=mode)
        return tuple(hit.source_id for hit in hits)

    words = evaluated.ndcg(lambda question: found(question, "text"))
    for tokenizer in ("unicode61", "porter unicode61", "trigram"):
        with evaluated.fts5(chunks, tokenizer) as ranking:
            assert words > evaluated.ndcg(ranking) - 0.01, tokenizer
    recalls = {
        mode: evaluated.recall(lambda question, mode=mode: found(question, mode))
        for mode in ("hybrid", "text", "vector")
    }
    assert recalls["hybrid"] >= max(recalls["text"], recalls["vector"]), recalls
    assert recalls["hybrid"] >= 0.85, recalls
