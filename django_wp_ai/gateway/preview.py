"""A dry run: what would be sent, to whom, and what it may cost. Nothing is taken, written or asked."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.utils import timezone

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import ChatRequest, Principal, Usage
from django_wp_ai.gateway.admission import Admitted, admit
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target
from django_wp_ai.policy.budget import worst_case
from django_wp_ai.providers import prices


@dataclass(frozen=True, slots=True)
class Candidate:
    """Who may answer, and the most that would cost in US dollars; None where the price is not known."""

    target: Target
    largest_usd: Decimal | None


@dataclass(frozen=True, slots=True)
class Preview:
    """The call as it would be sent; ``largest`` is its worst case in tokens."""

    admitted: Admitted
    largest: Usage
    candidates: tuple[Candidate, ...]


async def preview(principal: Principal, request: ChatRequest, origin: Origin) -> Preview:
    """Admit a call like any other and stop there; raises what it would be refused with, rates and budgets apart."""
    return await in_thread(_priced, await admit(principal, request, origin, moderate=False))


def _priced(admitted: Admitted) -> Preview:
    largest, now = admitted.largest(), timezone.now()
    candidates = []
    for target in admitted.targets:
        unit = prices.unit_prices(
            provider=target.provider, model=target.model, at=now, input_tokens=largest.input_tokens
        )
        cost = None if unit is None else worst_case(unit, largest.input_tokens, largest.output_tokens, 1)
        candidates.append(Candidate(target, cost))
    return Preview(admitted, largest, tuple(candidates))
