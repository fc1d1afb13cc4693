"""Questions to a site's own content, and what is related to a post of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router

from django_wp_ai import bridge
from django_wp_ai.api import cors, edge, sse
from django_wp_ai.api.auth import principal_of, site, site_or_stream_token
from django_wp_ai.api.framing import answers as framing
from django_wp_ai.api.metering import tell_limits
from django_wp_ai.api.queries import require_known
from django_wp_ai.api.recording import StreamBody, recorded
from django_wp_ai.api.schemas.answers import AskIn
from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.policy.rate_fields import ratelimit_fields
from django_wp_ai.rag.answer import Answer, Question, ask, open_answer
from django_wp_ai.rag.answer.related import MAX_RELATED, Related, related
from django_wp_ai.rag.search import metering

router = Router(tags=["content"])


@router.post("ask", auth=site_or_stream_token, summary="Ask the site's content", url_name="ask")
async def ask_content(request: HttpRequest, body: AskIn) -> Any:
    """Answer from the site's content with citations that were checked, whole or as server-sent events."""
    origin = Origin("ask", edge.request_id(request))
    if body.stream:
        return await _stream(request, body.to_question(), origin)
    return framing.reply(await bridge.run(request, _answer(request, body.to_question(), origin)))


@router.api_operation(["OPTIONS"], "ask", auth=None, include_in_schema=False)
async def ask_preflight(request: HttpRequest) -> HttpResponse:
    """Tell a browser whether its page may ask."""
    return await in_thread(cors.preflight, request, methods="POST")


async def _answer(request: HttpRequest, question: Question, origin: Origin) -> Answer:
    answer = await ask(principal_of(request), question, origin)
    await _tell_limits(request, answer.call, origin)
    return answer


async def _tell_limits(request: HttpRequest, call: Call | None, origin: Origin) -> None:
    """Those of the model's call, or of the search where no model was asked."""
    if call is not None:
        tell_limits(request, call)
        return
    rates = await metering.standing(principal_of(request), replace(origin, route="search"))
    request.wp_ai_fields = ratelimit_fields(rates)  # type: ignore[attr-defined]  # edge.guard writes them


async def _stream(request: HttpRequest, question: Question, origin: Origin) -> StreamingHttpResponse:
    async def begin() -> StreamBody:
        stream = await open_answer(principal_of(request), question, origin)
        await _tell_limits(request, stream.call, origin)
        body = sse.EventStream(stream, framing.AnswerFraming(stream, origin.request_id))
        return recorded(request, body, sse.HEADERS)

    return StreamingHttpResponse(await bridge.run_stream(request, begin()), headers=sse.HEADERS)


@router.get("related/{path:source_id}", auth=site, summary="Related content", url_name="related")
async def related_content(
    request: HttpRequest, source_id: str, k: Annotated[int, Query(ge=1, le=MAX_RELATED)] = 5
) -> dict[str, Any]:
    """What is nearest to a post, a page or a file in meaning; no model is asked."""
    require_known(request, {"k"})
    found, request.wp_ai_fields = await bridge.run(  # type: ignore[attr-defined]  # edge.guard writes the fields
        request, _near(principal_of(request), source_id, k, Origin("related", edge.request_id(request)))
    )
    return {
        "results": [
            {"source_id": one.source_id, "title": one.title, "url": one.url, "score": one.score} for one in found
        ]
    }


async def _near(principal: Principal, source_id: str, k: int, origin: Origin) -> tuple[list[Related], dict[str, str]]:
    require_scope(principal, "rag.read")
    await in_thread(metering.take, principal, origin)
    found = await in_thread(related, principal.tenant, source_id, k=k)
    return found, ratelimit_fields(await metering.standing(principal, origin))
