"""The native bodies that belong to a request: a chat that may stream, a ticket for a browser."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from django_wp_ai.schemas.base import DryRun, Identity, Strict
from django_wp_ai.schemas.chat import ChatFields


class ChatIn(ChatFields):
    """Give ``messages``, ``prompt`` or ``prompt_template``; everything else has a default."""

    stream: bool = False
    dry_run: DryRun = False


class StreamTokenIn(Strict):
    """A browser's ticket for one stream."""

    scope: Literal["chat", "embeddings", "jobs", "rag.read"] = "chat"
    end_user: Identity = ""
    ttl_s: Annotated[int, Field(ge=1, description="Seconds; 300 at most.")] = 60
    max_requests: Literal[1] = 1
