"""Native chat, whole and streamed, and the tokens with which browsers stream."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse
from ninja import Query, Router
from pydantic import BaseModel, Field

from django_wp_ai import bridge
from django_wp_ai.api import cors, edge, sse
from django_wp_ai.api.auth import credential_of, principal_of, site, site_or_stream_token
from django_wp_ai.api.framing import native
from django_wp_ai.api.metering import answer
from django_wp_ai.api.schemas.native import ChatIn, StreamTokenIn
from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, Message, Principal, TextPart
from django_wp_ai.exceptions import Forbidden
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.preview import Preview, preview
from django_wp_ai.gateway.stream import DeltaStream
from django_wp_ai.gateway.tools.work import offered
from django_wp_ai.security import stream_tokens

router = Router(tags=["chat"])


class QuestionIn(BaseModel):
    """The query of an EventSource."""

    q: str = Field(min_length=1, max_length=4000, pattern=r"^[^\x00]+$", description="The question.")


@router.post("chat", auth=site, summary="Chat", url_name="chat")
async def chat(request: HttpRequest, body: ChatIn) -> Any:
    """Answer a chat, whole or (``stream``) as server-sent events."""
    principal = principal_of(request)
    origin = Origin("chat", edge.request_id(request))
    if body.dry_run:
        return native.dry_run(await _preview(request, body, origin))
    if body.stream:
        return await _stream(request, principal, body.to_request(), "chat")
    return native.reply(await answer(request, body.to_request(), origin))


@router.post("chat/stream", auth=site_or_stream_token, summary="Chat, streamed", url_name="chat-stream")
async def chat_stream(request: HttpRequest, body: ChatIn) -> Any:
    """Answer as server-sent events."""
    principal = principal_of(request)
    if body.dry_run:
        origin = Origin("chat/stream", edge.request_id(request))
        return native.dry_run(await _preview(request, body, origin))
    return await _stream(request, principal, body.to_request(), "chat/stream")


@router.get("chat/stream", auth=site_or_stream_token, summary="Chat, streamed, for EventSource")
async def chat_event_source(request: HttpRequest, question: Query[QuestionIn]) -> Any:
    """Answer ``q`` as server-sent events; the proof may stand in ``token``."""
    chat = ChatRequest(messages=(Message("user", (TextPart(question.q),)),))
    return await _stream(request, principal_of(request), chat, "chat/stream")


@router.api_operation(["OPTIONS"], "chat/stream", auth=None, include_in_schema=False)
async def chat_stream_preflight(request: HttpRequest) -> HttpResponse:
    """Tell a browser whether its page may stream."""
    return await in_thread(cors.preflight, request, methods="GET, POST")


@router.post("stream-tokens", auth=site, summary="Make a stream token", url_name="stream-tokens")
async def make_stream_token(request: HttpRequest, body: StreamTokenIn) -> dict[str, Any]:
    """A token for one request on a stream route, to be handed to a visitor's browser."""
    principal = principal_of(request)
    require_scope(principal, "stream")
    if body.scope not in principal.scopes:
        raise Forbidden(f"The credential lacks the scope {body.scope}.")
    token = stream_tokens.mint(
        credential_of(request),
        scopes=(body.scope,),
        end_user=body.end_user or principal.end_user,
        ttl_s=body.ttl_s,
    )
    return {
        "token": token.token,
        "expires_at": token.expires_at.isoformat(),
        "url": _where(request, body.scope),
    }


def _where(request: HttpRequest, scope: str) -> str:
    """The address on which a token counts; a job's id is put in by whoever knows it."""
    if scope == "jobs":
        path = reverse("django_wp_ai:job-events", args=["ID"])
        return request.build_absolute_uri(path).replace("/jobs/ID/", "/jobs/{id}/")
    return request.build_absolute_uri(
        reverse("django_wp_ai:ask" if scope == "rag.read" else "django_wp_ai:chat-stream")
    )


async def _preview(request: HttpRequest, body: ChatIn, origin: Origin) -> Preview:
    principal = principal_of(request)
    return await bridge.run(request, preview(principal, offered(principal, body.to_request()), origin))


async def _stream(request: HttpRequest, principal: Principal, chat: ChatRequest, route: str) -> StreamingHttpResponse:
    request_id = edge.request_id(request)

    def framing(stream: DeltaStream) -> native.NativeFraming:
        return native.NativeFraming(stream, request_id)

    return await sse.respond(request, principal, chat, Origin(route, request_id), framing)
