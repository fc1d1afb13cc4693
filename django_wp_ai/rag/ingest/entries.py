"""What the job kind ``ingest`` is told of its documents, and what it has made of each so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django_wp_ai.exceptions import ProviderUnavailable, WpAiError
from django_wp_ai.models import Document
from django_wp_ai.schemas.base import Strict


class Fields(Strict):
    """What is said of a document beside its content."""

    title: str = ""
    url: str = ""
    mime: str = ""
    post_type: str = ""
    language: str = ""
    tags: list[str] = []
    metadata: dict[str, Any] = {}


class Entry(Strict):
    """One document and where its content is: an upload, a ``url``, the site (``is_pulled``), else what was kept of it.

    ``hash`` is of the content with its fields, empty while it is to be fetched. With ``again`` it is indexed even if
    nothing has changed.
    """

    document: int
    upload: UUID | None = None
    url: str = ""
    is_pulled: bool = False
    tells: bool = True
    again: bool = False
    fields: Fields = Fields()
    hash: str = ""


class SourceUnreachable(ProviderUnavailable):
    """A document could not be fetched now; later it may be."""

    code = "fetch_failed"
    status = 502
    title = "The document could not be fetched"


#: Errors of the client for foreign URLs that may be gone a moment later.
FOR_A_WHILE = frozenset({"dns_failed", "connect_failed", "tls_failed", "timeout", "connection_lost"})


@dataclass(frozen=True, slots=True)
class Passage:
    """What becomes a chunk. ``embedded`` is the text that its vector is of, and ``hash`` names that text."""

    ordinal: int
    content: str
    heading_path: tuple[str, ...]
    start: int
    end: int
    token_count: int
    embedded: str
    hash: str


@dataclass(slots=True)
class Work:
    """One document on its way. ``failure`` is why it can't be indexed; ``is_done``: nothing more is to be done."""

    entry: Entry
    document: Document
    text: str = ""
    fields: Fields = field(default_factory=Fields)
    hash: str = ""
    size_bytes: int = 0
    language: str = ""
    passages: list[Passage] = field(default_factory=list)
    failure: WpAiError | None = None
    outcome: str = ""  # unchanged, superseded, deleted, indexed

    @property
    def is_open(self) -> bool:
        """Whether there is still something to be done."""
        return self.failure is None and not self.outcome
