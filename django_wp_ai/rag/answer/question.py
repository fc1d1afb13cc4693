"""Plain data of this part: a question, what it is answered from, the answer."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

from django_wp_ai.gateway.ledger import Call
from django_wp_ai.rag.answer.quoting import Passage
from django_wp_ai.rag.search import Filters, Hit, Mode


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. ``conversation_id`` as in a chat; ``cache`` None is as the tenant's cache mode says."""

    text: str
    _: KW_ONLY
    k: int = 8
    filters: Filters = field(default_factory=Filters)
    mode: Mode = "hybrid"
    conversation_id: str = ""
    cache: bool | None = None
    end_user: str = ""
    plugin: str = ""


class Quoted(NamedTuple):
    """Words as they stand in a chunk."""

    text: str
    chunk_id: int


@dataclass(frozen=True, slots=True)
class Source:
    """A document as a model gets it, under its number: those of its chunks that were found and fit, in their order."""

    n: int
    hits: tuple[Hit, ...]
    passages: tuple[Passage, ...]

    @property
    def source_id(self) -> str:
        """The site's own name for it."""
        return self.hits[0].source_id

    @property
    def title(self) -> str:
        """The document's title."""
        return self.hits[0].title

    @property
    def url(self) -> str:
        """Where the document is read, as the site told; empty where it told none."""
        return self.hits[0].url

    @property
    def score(self) -> float:
        """That of its best chunk."""
        return max(hit.score for hit in self.hits)

    def quoted(self, quote: str) -> Quoted | None:
        """The quote as one of its chunks has it."""
        for hit, passage in zip(self.hits, self.passages, strict=True):
            if found := passage.quoted(quote):
                return Quoted(found, hit.chunk_id)
        return None

    def shared(self, sentence: str) -> Quoted | None:
        """The most that one of its chunks has in common with a sentence, where that is enough."""
        runs = [
            Quoted(found, hit.chunk_id)
            for hit, passage in zip(self.hits, self.passages, strict=True)
            if (found := passage.shared(sentence))
        ]
        return max(runs, key=lambda run: len(run.text), default=None)


@dataclass(frozen=True, slots=True)
class Citation:
    """A source that the answer rests on; ``quote`` stands in its chunk ``chunk_id`` exactly so."""

    n: int
    source_id: str
    title: str
    url: str
    quote: str
    score: float
    chunk_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the reader gets, and how it came about.

    ``supported`` is False, and ``text`` says so in the question's language, where no citation of the answer held, or
    where nothing was found that a model could have answered from; then ``call`` is None and nothing was paid for it.
    """

    text: str
    supported: bool
    citations: tuple[Citation, ...]
    sources: tuple[Source, ...]  # what the model was given
    hits: tuple[Hit, ...]  # all that was found
    language: str
    call: Call | None
    conversation_id: str = ""
