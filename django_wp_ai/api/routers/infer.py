"""One prompt, one answer, without a conversation around it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router

from django_wp_ai import bridge
from django_wp_ai.api import edge
from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.framing import native
from django_wp_ai.api.metering import answer
from django_wp_ai.api.schemas.infer import InferIn
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.preview import preview

router = Router(tags=["chat"])


@router.post("infer", auth=site, summary="Infer", url_name="infer")
async def infer(request: HttpRequest, body: InferIn) -> dict[str, Any]:
    """Answer one prompt."""
    origin = Origin("infer", edge.request_id(request))
    if body.dry_run:
        return native.dry_run(await bridge.run(request, preview(principal_of(request), body.to_request(), origin)))
    return reply(await answer(request, body.to_request(), origin))


def reply(completed: Completed) -> dict[str, Any]:
    """The answer twice, as the systems that this route stands in for spell it: ``result.text`` and ``output``."""
    call, choice = completed.call, completed.result.choices[0]
    text = choice.text or choice.refusal or ""
    return {
        "cached": call.cached,
        "model": call.model,
        "result": {
            "text": text,
            "tokens_in": call.usage.input_tokens,
            "tokens_out": call.usage.output_tokens,
            "model": call.model,
        },
        "output": text,
    }
