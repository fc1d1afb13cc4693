"""Many documents, parted into what one job is to index."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, TooLarge
from django_wp_ai.rag.ingest.accepting import MOST_AT_ONCE, Accepted, accept_many
from django_wp_ai.rag.ingest.new import NewDocument, check
from django_wp_ai.rag.sources.base import SourceDocument

MOST_BYTES = 4 * 1024 * 1024  # of content in one job, as it is held in memory; a larger document has a job of its own


class Intake:
    """Takes documents in as they come, so many a job. Blocking; ``counts`` tells what became of them."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal
        self._waiting: list[NewDocument] = []
        self._bytes = 0
        self.counts: Counter[str] = Counter()
        self.refused: list[tuple[str, str]] = []  # source id, and why

    def add(self, new: NewDocument) -> None:
        """Take one in, or wait for more."""
        try:
            check(self._principal.tenant, new)
        except (Invalid, TooLarge) as error:
            self.counts["refused"] += 1
            self.refused.append((new.source_id, error.detail or error.title))
            return
        if new.file_url or new.is_pulled:  # what may fail for a while is tried again by a job of its own
            self._take([new])
            return
        size = len(new.content)
        if self._waiting and (len(self._waiting) >= MOST_AT_ONCE or self._bytes + size > MOST_BYTES):
            self.flush()
        self._waiting.append(new)
        self._bytes += size

    def flush(self) -> None:
        """Take in those that wait."""
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        self._take(waiting)

    def _take(self, items: Sequence[NewDocument]) -> None:
        self.counts.update(_became(accepted) for accepted in accept_many(self._principal, items))


def _became(accepted: Accepted) -> str:
    if accepted.unchanged:
        return "unchanged"
    return "outdated" if accepted.job is None else "queued"


def new_of(found: SourceDocument, *, seen_at: datetime | None = None) -> NewDocument:
    """A document of a source as it is handed in. Its site is not told of each: nobody waits for one of them."""
    has_content = bool(found.text or found.html or found.data)
    return NewDocument(
        source_id=found.source_id[:255],
        title=found.title[:500],
        url=found.url if len(found.url) <= 2000 else "",
        text=found.text,
        html=found.html if not found.text else "",
        data=found.data if not (found.text or found.html) else b"",
        file_url=found.url if not has_content and found.filename else "",  # a post without words is no file
        mime=found.mime[:127],
        filename=(found.filename or "file")[:255] if found.data else "",
        post_type=found.post_type[:64],
        language=found.language[:16],
        tags=tuple(tag[:200] for tag in found.tags[:100]),
        metadata=dict(found.metadata),
        modified_at=found.modified_at,
        seen_at=seen_at,
        tells=False,
    )


def intake(principal: Principal, found: Sequence[SourceDocument]) -> Intake:
    """Take all of a source in."""
    taking = Intake(principal)
    for one in found:
        taking.add(new_of(one))
    taking.flush()
    return taking
