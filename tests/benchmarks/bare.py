"""The least that this app could do: body in, provider, answer out. No proof, no limits, no ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator

from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.csrf import csrf_exempt

from django_wp_ai.api.framing.native import DONE
from django_wp_ai.api.schemas.native import ChatIn
from django_wp_ai.api.sse import event
from django_wp_ai.datatypes import ChatRequest
from django_wp_ai.providers.registry import providers

MODEL = "gpt-4o-mini"


@csrf_exempt
async def chat(request: HttpRequest) -> HttpResponseBase:
    """A chat through the app's schema and provider."""
    body = ChatIn.model_validate_json(request.body)
    if body.stream:
        return StreamingHttpResponse(_events(body.to_request()), content_type="text/event-stream")
    result = await providers()["openai"].chat(body.to_request(), model=MODEL)
    return JsonResponse({"content": result.choices[0].text, "finish_reason": result.choices[0].finish_reason})


async def _events(chat: ChatRequest) -> AsyncIterator[bytes]:
    async for delta in providers()["openai"].stream(chat, model=MODEL):
        if delta.text:
            yield event({"delta": delta.text})
    yield DONE
