"""A site that hands documents in, and a worker that indexes them in the test's own thread."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.jobs import attempt, claims, room
from django_wp_ai.models import Chunk, Document, Job, SiteIndex, Tenant
from django_wp_ai.rag import ingest
from django_wp_ai.rag.ingest import Accepted, NewDocument
from tests.caches import clean_cache, own_server
from tests.flows.conftest import Street
from tests.flows.jobs.working import result_of
from tests.vendor.running import RunningVendor

__all__ = ["clean_cache", "own_server"]

OFFLINE = "offline:offline-hash-2"
VENDOR = "openai:text-embedding-3-small"


def paragraphs(*words: str) -> str:
    """A Markdown text with a passage for each word: each section is longer than half of what a passage holds."""
    return "\n\n".join(f"## About {word}\n\n" + f"The {word} is told of here in a sentence. " * 50 for word in words)


class Library:
    """The documents of one site."""

    def __init__(self, street: Street, vendor: RunningVendor) -> None:
        self.street, self.vendor = street, vendor
        self.principal, self.tenant = street.principal, street.principal.tenant

    def hand_in(self, source_id: str = "post-1", text: str = "Hello there.", **fields: Any) -> Accepted:
        content = {} if {"html", "data", "file_url", "is_pulled"} & fields.keys() else {"text": text}
        return ingest.accept(self.principal, NewDocument(source_id=source_id, **content, **fields))

    def run_due(self) -> None:
        """Run jobs until none is due."""
        while claimed := claims.claim(worker="worker", at_most=100):
            for claim in claimed:
                self.street.run(attempt.run(claim)).write()

    def index(self, source_id: str = "post-1", text: str = "Hello there.", **fields: Any) -> Document:
        """A document that must be indexed."""
        accepted = self.hand_in(source_id, text, **fields)
        self.run_due()
        document = self.document(source_id)
        assert document.status == "indexed", (document.status, document.error_code, document.error_message)
        assert accepted.job is not None
        return document

    def document(self, source_id: str = "post-1") -> Document:
        return Document.objects.for_tenant(self.tenant).get(source_id=source_id)

    def site_index(self) -> SiteIndex:
        return SiteIndex.objects.for_tenant(self.tenant).get()

    def chunks(self, source_id: str = "post-1") -> list[Chunk]:
        """Those that serve."""
        return list(Chunk.objects.for_tenant(self.tenant).live().filter(document__source_id=source_id))

    def sent(self) -> list[str]:
        """Every text that the vendor was sent, in order."""
        asked = [request for request in self.vendor.requests if request.path.endswith("/embeddings")]
        return [text for request in asked for text in request.body["input"]]

    def job(self, source_id: str = "post-1") -> Job:
        job = self.document(source_id).job
        assert job is not None
        return job

    def result(self, source_id: str = "post-1") -> Any:
        return result_of(self.job(source_id))


@pytest.fixture
def library(street: Street, vendor: RunningVendor, clean_cache: None) -> Library:
    room._places.clear()  # tenants of other tests may have had the same ids
    return Library(street, vendor)


def set_model(tenant: Tenant, model: str) -> None:
    """What the operator chose for the site."""
    Tenant.objects.filter(pk=tenant.pk).update(embedding_model=model)
    tenant.embedding_model = model
