"""Embeddings in OpenAI's shape."""

from __future__ import annotations

import base64
import struct
from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from ninja import Router

from django_wp_ai import bridge
from django_wp_ai.api import edge
from django_wp_ai.api.auth import principal_of, site
from django_wp_ai.api.metering import tell_limits
from django_wp_ai.api.schemas.embeddings import EmbeddingIn
from django_wp_ai.gateway.embeddings import Embedded, embed
from django_wp_ai.gateway.origin import Origin

router = Router(tags=["compatible"])


@router.post("embeddings", auth=site, summary="Embeddings (OpenAI)", url_name="embeddings")
async def embeddings(request: HttpRequest, body: EmbeddingIn) -> dict[str, Any]:
    """OpenAI's embeddings."""
    origin = Origin("embeddings", edge.request_id(request))
    embedded = await bridge.run(request, embed(principal_of(request), body.to_request(), origin))
    tell_limits(request, embedded.call)
    return reply(embedded, packed=body.encoding_format == "base64")


def reply(embedded: Embedded, *, packed: bool) -> dict[str, Any]:
    """OpenAI's list of embeddings; ``packed`` as base64 of little-endian 32-bit floats, as its SDKs ask for."""
    used = embedded.call.usage.input_tokens
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": _packed(vector) if packed else list(vector)}
            for index, vector in enumerate(embedded.result.vectors)
        ],
        "model": embedded.call.model,
        "usage": {"prompt_tokens": used, "total_tokens": used},
    }


def _packed(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
