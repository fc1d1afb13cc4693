"""Search in a site's own content."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from django_wp_ai import bridge
from django_wp_ai.api import edge
from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.schemas.search import SearchIn
from django_wp_ai.datatypes import Principal
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.policy.rate_fields import ratelimit_fields
from django_wp_ai.rag.search import Hit, metering, search

router = Router(tags=["content"])


@router.post("search", auth=site, summary="Search the site's content", url_name="search")
async def search_content(request: HttpRequest, body: SearchIn) -> dict[str, Any]:
    """Passages that fit best. ``score`` orders them; ``scores`` are the cosine similarity and the BM25 score."""
    principal = principal_of(request)
    hits, request.wp_ai_fields = await bridge.run(  # type: ignore[attr-defined]  # edge.guard writes the fields
        request, _found(principal, body, Origin("search", edge.request_id(request)))
    )
    return {"results": [shown(hit) for hit in hits]}


async def _found(principal: Principal, body: SearchIn, origin: Origin) -> tuple[list[Hit], dict[str, str]]:
    hits = await search(principal, body.query, k=body.k, filters=body.to_filters(), mode=body.mode, origin=origin)
    return hits, ratelimit_fields(await metering.standing(principal, origin))


def shown(hit: Hit) -> dict[str, Any]:
    """A hit as replies show it."""
    return {
        "source_id": hit.source_id,
        "title": hit.title,
        "url": hit.url,
        "content": hit.content,
        "ordinal": hit.ordinal,
        "score": hit.score,
        "scores": {"vector": hit.vector, "text": hit.text},
    }
