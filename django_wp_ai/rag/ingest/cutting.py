"""From a text to the passages that are embedded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django_wp_ai.jobs.context import JobFailed
from django_wp_ai.rag.chunking import Piece, cut
from django_wp_ai.rag.ingest.entries import Passage, Work
from django_wp_ai.rag.language import detect
from django_wp_ai.rag.sources.base import language_code
from django_wp_ai.rag.tokens import counter

TOKENS, OVERLAP = 800, 100
MAX_PASSAGES = 5_000


def cut_all(works: Sequence[Work]) -> None:
    """Fill in language and passages of each that is open; busy with the processor, so for a thread."""
    count = counter()
    for work in works:
        if not work.is_open:
            continue
        work.language = language_code(work.fields.language) or work.fields.language[:16] or detect(work.text)
        pieces = cut(work.text, tokens=TOKENS, overlap=OVERLAP, count=count)
        if not pieces:
            work.failure = JobFailed("There is no text in it.", code="empty")
        elif len(pieces) > MAX_PASSAGES:
            work.failure = JobFailed(f"It has more than {MAX_PASSAGES} passages.", code="too_large")
        else:
            work.passages = [passage(work.fields.title, place, piece) for place, piece in enumerate(pieces)]


def passage(title: str, ordinal: int, piece: Piece) -> Passage:
    """A piece as it is stored."""
    embedded = embedded_text(title, piece.heading_path, piece.passage)
    return Passage(
        ordinal=ordinal,
        content=piece.passage,
        heading_path=piece.heading_path,
        start=piece.start,
        end=piece.end,
        token_count=piece.token_count,
        embedded=embedded,
        hash=hashlib.sha256(embedded.encode("utf-8", "replace")).hexdigest(),
    )


def embedded_text(title: str, heading_path: Sequence[str], content: str) -> str:
    """What the vector of a passage is of: the title and headings, which may hold the words asked for, and itself."""
    above = list(dict.fromkeys(name for name in (title, *heading_path) if name))
    return "\n\n".join([" > ".join(above), content]) if above else content
