"""A metered call from its request to its result, and what the reply tells of its limits."""

from __future__ import annotations

from django.http import HttpRequest

from django_wp_ai import bridge
from django_wp_ai.api.auth import principal_of
from django_wp_ai.api.errors import Family, family_of
from django_wp_ai.datatypes import ChatRequest
from django_wp_ai.gateway.chat import Completed, complete
from django_wp_ai.gateway.ledger import Call
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.tools.loop import complete_with_tools
from django_wp_ai.policy.rate_fields import openai_fields, ratelimit_fields

#: Says, in every family's replies, which parameters were set to what the site may ask for: ``max_tokens=800``.
CLAMPED = "X-WP-AI-Clamped"


async def answer(request: HttpRequest, chat: ChatRequest, origin: Origin) -> Completed:
    """Answer a chat whole, in the name of the request's principal."""
    flow = complete_with_tools if chat.server_tools else complete
    completed = await bridge.run(request, flow(principal_of(request), chat, origin))
    tell_limits(request, completed.call)
    return completed


def tell_limits(request: HttpRequest, call: Call) -> None:
    """Note the fields that tell of limits and clamped parameters for the reply; ``edge.guard`` writes them."""
    fields = ratelimit_fields(call.rates)
    if family_of(request) is Family.OPENAI:
        fields |= openai_fields(call.rates)
    if call.admitted.clamped:
        fields[CLAMPED] = ", ".join(f"{name}={value:g}" for name, value in call.admitted.clamped.items())
    request.wp_ai_fields = fields  # type: ignore[attr-defined]  # read again when the reply is made
