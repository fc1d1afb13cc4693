"""The sample content's way into the index, which is that of every site, and how far it has come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from django.db.models import Count, Q
from django.urls import reverse

from demo.articles import ARTICLES, Article
from django_wp_ai.models import Chunk, Document, Tenant
from django_wp_ai.rag.ingest import NewDocument, accept_many, operator_of

SHOWN_PAGES = 20
Status = Document.Status


def hand_in(tenant: Tenant, *, base_url: str) -> None:
    """Hand the articles in, for a worker to index; what is indexed already, with its address, makes no work."""
    _forget_unread(tenant)
    accept_many(operator_of(tenant), [_document(article, base_url) for article in ARTICLES])


def _document(article: Article, base_url: str) -> NewDocument:
    return NewDocument(
        source_id=article.source_id,
        title=article.title,
        url=base_url + reverse("home-article", args=[article.slug]),
        text=article.text,
        post_type=article.post_type,
        language="en",
        tags=article.tags,
    )


def _forget_unread(tenant: Tenant) -> None:
    """Early demos wrote their passages themselves; in their place a first version could not be made."""
    Chunk.objects.for_tenant(tenant).live().filter(document__version=0).delete()


@dataclass(frozen=True, slots=True)
class Page:
    """A document that answers come from."""

    title: str
    url: str
    text: str


@dataclass(frozen=True, slots=True)
class Index:
    """How far a site's documents have come: ``indexed`` of them serve, ``waiting`` ones have never yet."""

    indexed: int
    waiting: int
    failed: int
    error: str
    pages: tuple[Page, ...]

    @property
    def total(self) -> int:
        """All that were handed in."""
        return self.indexed + self.waiting + self.failed

    @property
    def state(self) -> Literal["empty", "indexing", "failed", "ready"]:
        """What a visitor can expect: only ``indexing`` passes by itself."""
        if self.indexed:
            return "ready"
        if self.waiting:
            return "indexing"
        return "failed" if self.failed else "empty"


def look(tenant: Tenant) -> Index:
    """The state of the index now."""
    living = Document.objects.for_tenant(tenant).living()
    never = Q(chunk_count=0)
    counts = living.aggregate(
        indexed=Count("pk", filter=~never),
        waiting=Count("pk", filter=never & Q(status=Status.PENDING)),
        failed=Count("pk", filter=never & Q(status=Status.FAILED)),
    )
    failed = living.filter(never, status=Status.FAILED).order_by("pk").first() if counts["failed"] else None
    error = failed.error_message or failed.error_code if failed else ""
    return Index(**counts, error=error, pages=tuple(_pages(tenant)))


def _pages(tenant: Tenant) -> Iterator[Page]:
    serving = Document.objects.for_tenant(tenant).living().filter(chunk_count__gt=0).order_by("source_id")[:SHOWN_PAGES]
    passages: dict[int, list[str]] = {}
    chunks = Chunk.objects.for_tenant(tenant).live().filter(document__in=[document.pk for document in serving])
    for document_id, content in chunks.order_by("document", "ordinal").values_list("document_id", "content"):
        passages.setdefault(document_id, []).append(content)
    for document in serving:
        yield Page(document.title, document.url, "\n".join(passages.get(document.pk, ())))
