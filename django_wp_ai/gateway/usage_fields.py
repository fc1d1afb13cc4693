"""What a usage row says of a call: at its beginning, and when it is over."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django_wp_ai.exceptions import ProviderError

if TYPE_CHECKING:
    from django_wp_ai.gateway.ledger import Call


def opening(call: Call, now: datetime) -> dict[str, Any]:
    """What a row says from its beginning; provider and model only until the row is settled."""
    admitted, origin, target = call.admitted, call.origin, call.target
    credential = admitted.principal.credential
    return {
        "call_id": call.id,
        "tenant_id": call.tenant.pk,
        "credential_id": credential and credential.pk,
        "route": origin.route,
        "provider": target.provider.name,
        "model": target.model[:128],
        "end_user": admitted.end_user,
        "plugin": admitted.plugin,
        "request_id": origin.request_id,
        "trace_id": call.trace_id,
        "step": call.step,
        "prompt_template": admitted.prompt_template[:80],
        "streamed": call.streamed,
        "created_at": now,
    }


def outcome(call: Call, now: datetime, *, error: ProviderError | None, error_code: str) -> dict[str, Any]:
    """How a call ended that was sent: who was asked last, what it cost, what went wrong."""
    target, unit = call.target, call.quote.prices if call.quote else None
    return closing(call, now) | {
        "provider": target.provider.name,
        "model": target.model[:128],
        "input_price": unit and unit.input,
        "output_price": unit and unit.output,
        "cached_input_price": unit and unit.cached_input,
        "cache_write_price": unit and unit.cache_write,
        "cost_usd": call.cost_usd,
        "error_code": error.code if error else error_code,
        "provider_status": error.provider_status if error else _status(call, error_code),
    }


def closing(call: Call, now: datetime) -> dict[str, Any]:
    """What a row says of a call that is over, however it was answered."""
    usage = call.usage
    return {
        "settled_at": now,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_input_tokens": min(usage.cached_input_tokens, usage.input_tokens),
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "estimated": usage.estimated,
        "finish_reason": call.finish_reason,
        "latency_ms": _elapsed_ms(call, time.monotonic()),
        "first_token_ms": _elapsed_ms(call, call.first_token_at),
    }


def _status(call: Call, error_code: str) -> int | None:
    """200 where the provider is known to have begun an answer; None for a call that was aborted before that."""
    return None if error_code and call.first_token_at is None else 200


def _elapsed_ms(call: Call, at: float | None) -> int | None:
    return None if at is None else int((at - call.started_at) * 1000)
