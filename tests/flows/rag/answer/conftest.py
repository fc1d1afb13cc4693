"""A site with content, and questions to it; the offline provider embeds, the vendor stand-in answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from django_wp_ai.gateway.origin import Origin
from django_wp_ai.models import Chunk, Tenant, UsageEvent
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.providers.feature_hashing import vector
from django_wp_ai.providers.offline import EMBEDDING_MODEL
from django_wp_ai.rag.answer import Answer, Question, ask, open_answer
from tests.factories import TenantFactory, make_credential
from tests.flows.conftest import Street, principal_for
from tests.flows.rag.search.passages import write

OPENING = "Our shop opens at nine in the morning and closes at six. On Sundays it is closed."
PARKING = "Parking is free for guests of the hotel. The gate of the car park closes at midnight."
ORIGIN = Origin("ask", "request-1")


class Site(Street):
    """Asks, and puts content where searches find it."""

    @property
    def tenant(self) -> Any:
        return self.principal.tenant

    def write(self, source_id: str, *contents: str, title: str = "", **fields: Any) -> list[Chunk]:
        vectors: Sequence[Sequence[float]] = [vector(f"{title}\n{content}") for content in contents]
        model = f"offline:{EMBEDDING_MODEL}"
        return write(self.tenant, source_id, contents, title=title, vectors=vectors, embedding_model=model, **fields)

    def set(self, **fields: Any) -> None:
        """Settings of the site, as the next request finds them."""
        Tenant.objects.filter(pk=self.tenant.pk).update(**fields)
        self.tenant.refresh_from_db()
        attach_budgets([self.tenant])

    def ask(self, text: str, **fields: Any) -> Answer:
        return self.run(ask(self.principal, Question(text=text, **fields), ORIGIN))

    def stream(self, text: str, **fields: Any) -> tuple[list[str], Answer]:
        async def read() -> tuple[list[str], Answer]:
            stream = await open_answer(self.principal, Question(text=text, **fields), ORIGIN)
            deltas = []
            while (delta := await stream.next()) is not None:
                deltas.append(delta.text)
            assert stream.answer is not None
            return deltas, stream.answer

        return self.run(read())

    def rows(self, route: str = "ask") -> list[UsageEvent]:
        return list(UsageEvent.objects.for_tenant(self.tenant).filter(route=route).order_by("id"))


@pytest.fixture
def site(db: None, settings: Any, providers: None) -> Iterator[Site]:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "EMBEDDING_MODEL": f"offline:{EMBEDDING_MODEL}"}
    tenant = TenantFactory.create()
    site = Site(principal_for(tenant, make_credential("api_key", tenant=tenant, scopes=["rag.read"]).credential))
    site.write("post-1", OPENING, title="Opening hours")
    site.write("post-2", PARKING, title="Parking")
    yield site
    site.finish()


@pytest.fixture
def offline(site: Site, settings: Any) -> Site:
    """The same with nobody but the offline provider."""
    settings.DJANGO_WP_AI = {
        **settings.DJANGO_WP_AI, "PROVIDERS": {"offline": {}}, "DEFAULT_MODEL": "", "MODEL_ALIASES": {}
    }  # fmt: skip
    return site
