"""The site and the questions of ``tests/data`` as passages, and how well a ranking answers them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from math import log2
from pathlib import Path
from xml.etree import ElementTree

from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.rag.chunking import cut
from django_wp_ai.rag.extract.html import markdown_of
from django_wp_ai.rag.language import detect
from django_wp_ai.rag.tokens import counter
from tests.flows.rag.search.passages import write

DATA = Path(__file__).resolve().parents[3] / "data"
NAMESPACES = {
    "wp": "http://wordpress.org/export/1.2/",
    "content": "http://purl.org/rss/1.0/modules/content/",
}
Ranking = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class Entry:
    source_id: str
    title: str
    language: str
    pieces: tuple[str, ...]


@cache
def entries() -> tuple[Entry, ...]:
    """What the site published, cut as ingest cuts it."""
    found = []
    for item in ElementTree.parse(DATA / "posts.wxr.xml").getroot().iter("item"):
        kind, status, number, body = (
            item.findtext(name, "", NAMESPACES)
            for name in ("wp:post_type", "wp:status", "wp:post_id", "content:encoded")
        )
        if status == "publish" and kind in ("post", "page"):
            text = markdown_of(body)
            pieces = tuple(piece.content for piece in cut(text, tokens=250, overlap=30, count=counter()))
            found.append(Entry(f"{kind}-{number}", item.findtext("title", ""), detect(text), pieces))
    return tuple(found)


@cache
def questions() -> tuple[tuple[str, str, frozenset[str]], ...]:
    """Language, question and the sources that answer it; of those about this site."""
    known = {entry.source_id for entry in entries()}
    read = map(json.loads, (DATA / "eval" / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    return tuple(
        (each["language"], each["question"], frozenset(each["relevant"]))
        for each in read
        if each["relevant"] and set(each["relevant"]) <= known
    )


def fill(tenant: Tenant) -> list[Chunk]:
    """The site's passages as rows."""
    return [
        chunk
        for entry in entries()
        for chunk in write(tenant, entry.source_id, entry.pieces, title=entry.title, language=entry.language)
    ]


def ndcg(ranking: Ranking, language: str = "") -> float:
    """nDCG@10 over sources: a source stands where its first passage does."""
    scores = []
    for spoken, question, relevant in questions():
        if language in ("", spoken):
            found = list(dict.fromkeys(ranking(question)))[:10]
            gained = sum(1 / log2(place + 2) for place, source in enumerate(found) if source in relevant)
            scores.append(gained / sum(1 / log2(place + 2) for place in range(min(10, len(relevant)))))
    return sum(scores) / len(scores)


def recall(ranking: Ranking, at: int = 5) -> float:
    """Of the sources that answer, how many are among the first ones."""
    shares = [
        len(relevant & set(list(dict.fromkeys(ranking(question)))[:at])) / len(relevant)
        for _, question, relevant in questions()
    ]
    return sum(shares) / len(shares)


@contextmanager
def fts5(chunks: Sequence[Chunk], tokenizer: str) -> Iterator[Ranking]:
    """SQLite's own BM25 over the same passages, the words of a question joined by OR."""
    with closing(sqlite3.connect(":memory:")) as database:
        yield _by_fts5(database, chunks, tokenizer)


def _by_fts5(database: sqlite3.Connection, chunks: Sequence[Chunk], tokenizer: str) -> Ranking:
    database.execute(f"CREATE VIRTUAL TABLE passages USING fts5(body, tokenize='{tokenizer}')")
    sources = {chunk.pk: chunk.document.source_id for chunk in chunks}
    rows = [(chunk.pk, f"{chunk.document.title}\n{chunk.content}") for chunk in chunks]
    database.executemany("INSERT INTO passages (rowid, body) VALUES (?, ?)", rows)
    letters = str.maketrans(dict.fromkeys("\"'()*:^?!.,-+/。、？「」’„“", " "))

    def ranking(question: str) -> list[str]:
        terms = [question[at : at + 3] for at in range(len(question) - 2)] if tokenizer == "trigram" else []
        terms = terms or question.translate(letters).split()
        asked = " OR ".join(f'"{term.replace(chr(34), "")}"' for term in terms)
        found = database.execute("SELECT rowid FROM passages WHERE passages MATCH ? ORDER BY bm25(passages)", (asked,))
        return [sources[chunk_id] for (chunk_id,) in found]

    return ranking
