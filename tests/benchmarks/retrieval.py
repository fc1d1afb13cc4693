"""How well retrieval finds what answers: ``python -m tests.benchmarks.retrieval``.

The posts of ``tests/data/posts.wxr.xml`` and the pages of ``docs`` go through the readers, the chunker and the ingest
job into an empty database, with offline embeddings; then each question of ``tests/data/eval`` is searched for in each
mode. The last rows are SQLite's FTS5 with its ``bm25()`` over the very same passages, in the same run: ``fts5`` by
``porter`` over ``unicode61`` for English and German and by ``trigram`` for Japanese, of which the other knows no words;
``fts5-3`` by ``trigram`` for all. Then: how near the nearest passage is to questions with and without an answer.
With ``--model`` another embedding model is asked; ``--weights`` compares some on each half of the questions, so that
one half can choose and the other tell. See docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.benchmarks.signatures import fresh_database

if TYPE_CHECKING:
    from django_wp_ai.models import Chunk, Tenant
    from django_wp_ai.rag.evaluation import EvalQuestion, Figures, Outcome
    from django_wp_ai.rag.search import Mode

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
K = 5
PORTER, TRIGRAM = "porter unicode61", "trigram"
_WORD = re.compile(r"\w+")


class FullText:
    """SQLite's full-text index over passages."""

    def __init__(self, chunks: Sequence[Chunk], tokenizer: str) -> None:
        from django_wp_ai.rag.ingest.cutting import embedded_text

        self._tokenizer = tokenizer
        self._sources = [chunk.document.source_id for chunk in chunks]
        texts = [embedded_text(chunk.document.title, chunk.heading_path, chunk.content) for chunk in chunks]
        self._database = sqlite3.connect(":memory:")
        self._database.execute(f"CREATE VIRTUAL TABLE passages USING fts5 (text, tokenize = '{tokenizer}')")
        self._database.executemany("INSERT INTO passages (rowid, text) VALUES (?, ?)", enumerate(texts))

    def close(self) -> None:
        """Let the database go."""
        self._database.close()

    def ranked(self, question: str) -> tuple[str, ...]:
        """The sources of the passages that have any of the question's words, by ``bm25()``."""
        words = _WORD.findall(question.lower())
        if self._tokenizer == TRIGRAM:
            words = [word[at : at + 3] for word in words for at in range(len(word) - 2)]
        if not words:
            return ()
        asked = " OR ".join(f'"{word}"' for word in words)
        rows = self._database.execute(
            "SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages), rowid", (asked,)
        )
        return tuple(dict.fromkeys(self._sources[row] for (row,) in rows))


def grouped(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """The questions about our pages as a group of their own."""
    return [
        replace(each, question=replace(each.question, language="docs")) if each.question.id[:4] == "docs" else each
        for each in outcomes
    ]


def full_text(chunks: Sequence[Chunk], questions: Sequence[EvalQuestion]) -> list[Outcome]:
    """What FTS5 finds, by each language's tokenizer and by trigrams."""
    with closing(FullText(chunks, PORTER)) as porter, closing(FullText(chunks, TRIGRAM)) as trigram:
        return _by_both(porter, trigram, questions)


def _by_both(porter: FullText, trigram: FullText, questions: Sequence[EvalQuestion]) -> list[Outcome]:
    from django_wp_ai.rag.evaluation import Outcome

    by_language = [(trigram if question.language == "ja" else porter) for question in questions]
    best = [Outcome(each, "fts5", index.ranked(each.text)) for each, index in zip(questions, by_language, strict=True)]  # type: ignore[arg-type]  # a mode of its own
    return best + [Outcome(each, "fts5-3", trigram.ranked(each.text)) for each in questions]  # type: ignore[arg-type]


def measure(tenant: Tenant) -> None:
    """Print all figures of an indexed site."""
    from django_wp_ai.models import Chunk
    from django_wp_ai.rag.evaluation import figures
    from tests import library

    asked = library.questions()
    chunks = list(Chunk.objects.for_tenant(tenant).live().select_related("document").order_by("pk"))
    documents = len({chunk.document_id for chunk in chunks})
    print(f"{len(asked)} questions, {documents} documents, {len(chunks)} passages, {chunks[0].embedding_model}\n")
    print(f"{'':8}{'language':10}{'questions':>9}{f'recall@{K}':>10}{'MRR':>8}{'nDCG@10':>9}")
    outcomes = _retrieved(tenant, asked, "hybrid", "vector", "text")
    for row in figures(grouped([*outcomes, *full_text(chunks, asked)]), k=K):
        print(f"{row.mode:8}{row.language:10}{_columns(row)}")
    print(f"\n{'nearest passage':24}{'questions':>9}{'least':>9}{'5 %':>9}{'median':>9}{'most':>9}")
    kinds = {
        "with an answer": [question.text for question in asked if question.relevant],
        "without one": [question.text for question in asked if not question.relevant],
        "about anything else": library.elsewhere(),
    }
    for name, texts in kinds.items():
        near = _similarities(tenant, texts)
        shown = (near[0], near[len(near) // 20], near[len(near) // 2], near[-1])
        print(f"{name:24}{len(near):9}" + "".join(f"{value:9.3f}" for value in shown))


def compare(tenant: Tenant, weights: Iterable[str]) -> None:
    """Print what ``hybrid`` finds by each ``vectors:words``, for every other question and for the rest."""
    from django.conf import settings
    from django.test import override_settings

    from django_wp_ai.rag.evaluation import figures
    from tests import library

    halves = split(library.questions())
    print(f"\n{'weights':10}{'half':8}{'questions':>9}{f'recall@{K}':>10}{'MRR':>8}{'nDCG@10':>9}")
    for each in weights:
        pair = [float(weight) for weight in each.split(":")]
        with override_settings(DJANGO_WP_AI={**settings.DJANGO_WP_AI, "RAG_WEIGHTS": {"*": pair}}):
            for name, half in halves.items():
                [row, *_] = figures(_retrieved(tenant, half, "hybrid"), k=K)
                print(f"{each:10}{name:8}{_columns(row)}")


def split(questions: Iterable[EvalQuestion]) -> dict[str, list[EvalQuestion]]:
    """The answerable questions in two halves, of each language and of those about our pages alike."""
    halves: dict[str, list[EvalQuestion]] = {"first": [], "second": []}
    seen: Counter[str] = Counter()
    for question in questions:
        if question.relevant:
            group = "docs" if question.id[:4] == "docs" else question.language
            halves["second" if seen[group] % 2 else "first"].append(question)
            seen[group] += 1
    return halves


def _retrieved(tenant: Tenant, asked: Sequence[EvalQuestion], *modes: Mode) -> list[Outcome]:
    from django_wp_ai.bridge import CallerThread
    from django_wp_ai.rag.evaluation import retrieve

    return CallerThread().drive(retrieve(tenant, asked, modes=modes, k=K))


def _similarities(tenant: Tenant, questions: Iterable[str]) -> list[float]:
    """Of each question's nearest passage; the least first."""
    from django_wp_ai.bridge import CallerThread
    from django_wp_ai.gateway.origin import Origin
    from django_wp_ai.models.budget import attach_budgets
    from django_wp_ai.rag.ingest import operator_of
    from django_wp_ai.rag.search import search

    attach_budgets([tenant])

    async def nearest() -> list[float]:
        operator, origin = operator_of(tenant), Origin("evaluation")
        found = [await search(operator, question, k=1, mode="vector", origin=origin) for question in questions]
        return [hits[0].vector or 0.0 for hits in found]

    return sorted(CallerThread().drive(nearest()))


def _columns(row: Figures) -> str:
    return f"{row.questions:9}{row.recall:10.3f}{row.mrr:8.3f}{row.ndcg:9.3f}"


def main() -> None:
    """Print tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="", help="provider:model; default: the offline one")
    parser.add_argument("--base-url", default="", help="of an OpenAI-compatible server, as provider `local`")
    parser.add_argument("--prefixes", nargs=2, metavar=("QUESTION", "PASSAGE"), help="as in RAG_PREFIXES")
    parser.add_argument("--weights", nargs="+", default=[], metavar="VECTORS:WORDS", help="to compare; as 1:0.5")
    given = parser.parse_args()
    options: dict[str, Any] = {"RAG_PREFIXES": {"*": given.prefixes}} if given.prefixes else {}
    if given.base_url:
        name = given.model.partition(":")[2]
        local = {"class": "openai", "base_url": given.base_url, "needs_key": False, "models": [name], "timeout_s": 600}
        options.update(PROVIDERS={"offline": {}, "local": local}, CALL_DEADLINE_S=600)
    os.environ["TEST_WP_AI"] = json.dumps(options)
    with fresh_database():
        from tests import library
        from tests.factories import TenantFactory

        library.MODEL = given.model or library.MODEL
        tenant = TenantFactory.create()
        documents = [*library.posts(), *library.pages()]
        if (count := library.index(tenant, documents)) != len(documents):
            raise SystemExit(f"Only {count} of {len(documents)} documents could be indexed.")
        measure(tenant)
        if given.weights:
            compare(tenant, given.weights)


if __name__ == "__main__":
    main()
