"""How well retrieval finds what answers: ``python -m tests.benchmarks.retrieval``.

The posts of ``tests/data/posts.wxr.xml`` and the pages of ``docs`` go through the readers, the chunker and the ingest
job into an empty database, with offline embeddings; then each question of ``tests/data/eval`` is searched for in each
mode. The last rows are SQLite's FTS5 with its ``bm25()`` over the very same passages, in the same run: ``fts5`` by
``porter`` over ``unicode61`` for English and German and by ``trigram`` for Japanese, of which the other knows no words;
``fts5-3`` by ``trigram`` for all. With ``--model`` another embedding model is asked: see docs/evaluation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.benchmarks.signatures import fresh_database

if TYPE_CHECKING:
    from django_wp_ai.models import Chunk
    from django_wp_ai.rag.evaluation import EvalQuestion, Figures, Outcome

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


def measure(model: str) -> list[Figures]:
    """All figures, in an empty database."""
    from django_wp_ai.bridge import CallerThread
    from django_wp_ai.models import Chunk
    from django_wp_ai.rag.evaluation import figures, retrieve
    from tests import library
    from tests.factories import TenantFactory

    library.MODEL = model or library.MODEL
    tenant, asked = TenantFactory.create(), library.questions()
    count = library.index(tenant, [*library.posts(), *library.pages()])
    chunks = list(Chunk.objects.for_tenant(tenant).live().select_related("document").order_by("pk"))
    print(f"{len(asked)} questions, {count} documents, {len(chunks)} passages, {library.MODEL}\n")
    outcomes = CallerThread().drive(retrieve(tenant, asked, modes=("hybrid", "vector", "text"), k=K))
    return figures(grouped([*outcomes, *full_text(chunks, asked)]), k=K)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", default="", help="provider:model; default: the offline one")
    parser.add_argument("--base-url", default="", help="of an OpenAI-compatible server, as provider `local`")
    given = parser.parse_args()
    if given.base_url:
        name = given.model.partition(":")[2]
        local = {"class": "openai", "base_url": given.base_url, "needs_key": False, "models": [name], "timeout_s": 600}
        os.environ["TEST_WP_AI"] = json.dumps({"PROVIDERS": {"offline": {}, "local": local}})
    with fresh_database():
        print(f"{'':8}{'language':10}{'questions':>9}{f'recall@{K}':>10}{'MRR':>8}{'nDCG@10':>9}")
        for row in measure(given.model):
            print(f"{row.mode:8}{row.language:10}{row.questions:9}{row.recall:10.3f}{row.mrr:8.3f}{row.ndcg:9.3f}")


if __name__ == "__main__":
    main()
