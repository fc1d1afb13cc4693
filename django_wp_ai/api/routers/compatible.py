"""The vendors' own routes, for their SDKs and whatever speaks like them."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from django_wp_ai.api import edge, sse
from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.errors import Family, family_of
from django_wp_ai.api.framing import anthropic, openai
from django_wp_ai.api.metering import answer
from django_wp_ai.api.schemas.anthropic import MessagesIn
from django_wp_ai.api.schemas.openai import ChatCompletionIn
from django_wp_ai.exceptions import NotFound
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import ListedModel, listed
from django_wp_ai.gateway.stream import DeltaStream

router = Router(tags=["compatible"])

UNKNOWN_DATE = "1970-01-01T00:00:00Z"


@router.post("chat/completions", auth=site, summary="Chat completion (OpenAI)")
async def chat_completion(request: HttpRequest, body: ChatCompletionIn) -> Any:
    """OpenAI's chat completion, whole or streamed."""
    principal, origin = principal_of(request), Origin("chat/completions", edge.request_id(request))
    if not body.stream:
        return openai.reply(await answer(request, body.to_request(), origin))
    include_usage = body.stream_options is not None and body.stream_options.include_usage

    def framing(stream: DeltaStream) -> openai.OpenAIFraming:
        return openai.OpenAIFraming(stream, include_usage=include_usage)

    return await sse.respond(request, principal, body.to_request(), origin, framing)


@router.post("messages", auth=site, summary="Message (Anthropic)")
async def message(request: HttpRequest, body: MessagesIn) -> Any:
    """Anthropic's message, whole or streamed."""
    principal, request_id = principal_of(request), edge.request_id(request)
    origin = Origin("messages", request_id)
    if not body.stream:
        return anthropic.reply(await answer(request, body.to_request(), origin))

    def framing(stream: DeltaStream) -> anthropic.AnthropicFraming:
        return anthropic.AnthropicFraming(stream, request_id)

    return await sse.respond(request, principal, body.to_request(), origin, framing)


@router.get("models", auth=site, summary="Models")
async def models(request: HttpRequest) -> dict[str, Any]:
    """What this credential may ask for, with capabilities; a quick check of a key too."""
    principal = principal_of(request)
    found = [_model(request, entry) for entry in listed(principal)]
    if family_of(request) is not Family.ANTHROPIC:
        return {"object": "list", "data": found}
    ids = [entry["id"] for entry in found]
    return {"data": found, "has_more": False, "first_id": next(iter(ids), None), "last_id": (ids or [None])[-1]}


@router.get("models/{path:model_id}", auth=site, summary="One model")
async def model(request: HttpRequest, model_id: str) -> dict[str, Any]:
    """One of the listed models."""
    principal = principal_of(request)
    for entry in listed(principal):
        if entry.id == model_id:
            return _model(request, entry)
    raise NotFound("There is no model of that name.")


def _model(request: HttpRequest, entry: ListedModel) -> dict[str, Any]:
    provider = entry.target.provider
    if family_of(request) is Family.ANTHROPIC:
        return {"type": "model", "id": entry.id, "display_name": entry.id, "created_at": UNKNOWN_DATE}
    return {
        "id": entry.id,
        "object": "model",
        "created": 0,
        "owned_by": provider.name,
        "capabilities": provider.capabilities(),
    }
