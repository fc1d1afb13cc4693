"""The usage row of a call: opened before the provider is called, settled once whatever happens after."""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Quote, UnitPrices, Usage
from django_wp_ai.exceptions import ProviderError, RateLimited
from django_wp_ai.gateway.admission import Admitted
from django_wp_ai.models import UsageEvent
from django_wp_ai.policy import budget, limits, rate_fields, rates
from django_wp_ai.providers import prices

logger = logging.getLogger("django_wp_ai.gateway")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a call came in: the route as the ledger names it, and the request's id."""

    route: str
    request_id: str = ""


@dataclass(slots=True)
class Call:
    """One call on its way: what is known of it so far."""

    admitted: Admitted
    origin: Origin
    streamed: bool
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    started_at: float = field(default_factory=time.monotonic)
    first_token_at: float | None = None
    usage: Usage = field(default_factory=Usage)
    quote: Quote | None = None
    finish_reason: str = ""
    model: str = ""
    rates: limits.RateDecision = field(init=False)
    held: budget.Reservation = field(init=False)
    event: UsageEvent = field(init=False)

    @property
    def cost_usd(self) -> Decimal | None:
        """What the call cost; None while or where the price is not known."""
        return self.quote.cost_usd if self.quote else None


def open_call(admitted: Admitted, origin: Origin, *, streamed: bool) -> Call:
    """Blocking: take the rates, reserve the worst case and write the pending row; a refusal leaves nothing behind."""
    principal, target = admitted.principal, admitted.target
    admitted = _bounded(admitted)
    call = Call(admitted, origin, streamed, model=target.model)
    largest = worst_case(call)
    call.rates = rates.take(
        limits.tenant_key(principal.tenant),
        limits.tenant_limits(principal.tenant, tokens=largest.input_tokens + largest.output_tokens),
    )
    _refuse_by_rate(call.rates)
    now = timezone.now()
    try:
        with transaction.atomic():
            call.held = budget.reserve_in_transaction(principal.tenant, _price(call, largest, now), at=now)
            call.event = UsageEvent.objects.create(
                call_id=call.id,
                tenant=principal.tenant,
                credential=principal.credential,
                route=origin.route,
                provider=target.provider.name,
                model=target.model[:128],
                end_user=admitted.request.end_user,
                plugin=admitted.request.plugin,
                request_id=origin.request_id,
                streamed=streamed,
                created_at=now,
                reserved_usd=call.held.amount_usd,
                held_periods=list(call.held.period_ids),
            )
    except BaseException:
        rates.give_back(call.rates)
        raise
    return call


def _bounded(admitted: Admitted) -> Admitted:
    """A call whose worst case must be held needs an end: the default one where the caller gave none."""
    tenant, request = admitted.principal.tenant, admitted.request
    if request.max_tokens is not None or not (tenant.tpm is not None or budget.has_budget(tenant)):
        return admitted
    return replace(admitted, request=replace(request, max_tokens=settings.default_max_tokens))


def _refuse_by_rate(decision: limits.RateDecision) -> None:
    try:
        decision.raise_if_refused()
    except RateLimited as refused:
        refused.fields.update(_fields(decision))
        raise


def limit_fields(call: Call) -> dict[str, str]:
    """Header fields of the call's rate limits, for a reply that tells of its failure."""
    return _fields(call.rates)


def _fields(decision: limits.RateDecision) -> dict[str, str]:
    return rate_fields.ratelimit_fields(decision) | rate_fields.openai_fields(decision)


def _price(call: Call, usage: Usage, at: datetime) -> Decimal | None:
    target = call.admitted.target
    unit = prices.unit_prices(provider=target.provider, model=target.model, at=at, input_tokens=usage.input_tokens)
    return None if unit is None else budget.worst_case(unit, usage.input_tokens, usage.output_tokens, 1)


def settle(call: Call, usage: Usage, *, error: ProviderError | None = None, error_code: str = "") -> None:
    """Blocking: write what was used and what it cost; a second settlement of the same call changes nothing."""
    target = call.admitted.target
    now = timezone.now()
    call.usage = usage
    call.quote = prices.quote(provider=target.provider, model=target.model, usage=usage, at=now)
    unit: UnitPrices | None = call.quote.prices if call.quote else None
    with transaction.atomic():
        settled = UsageEvent.objects.filter(call_id=call.id, state=UsageEvent.State.PENDING).update(
            state=UsageEvent.State.SETTLED,
            settled_at=now,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cached_input_tokens=min(usage.cached_input_tokens, usage.input_tokens),
            cache_write_tokens=usage.cache_write_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            input_price=unit and unit.input,
            output_price=unit and unit.output,
            cached_input_price=unit and unit.cached_input,
            cache_write_price=unit and unit.cache_write,
            cost_usd=call.cost_usd,
            estimated=usage.estimated,
            finish_reason=call.finish_reason,
            error_code=error.code if error else error_code,
            provider_status=error.provider_status if error else _status(call, error_code),
            latency_ms=_elapsed_ms(call, time.monotonic()),
            first_token_ms=_elapsed_ms(call, call.first_token_at),
        )
        if not settled:
            logger.error("call %s was settled already", call.id)
            return
        budget.settle_in_transaction(call.event, call.cost_usd, counter_ids=call.held.counter_ids)
    rates.adjust(call.rates, {"tpm": usage.input_tokens + usage.output_tokens})
    _log(call)


def _status(call: Call, error_code: str) -> int | None:
    """200 where the provider is known to have begun an answer; None for a call that was aborted before that."""
    return None if error_code and call.first_token_at is None else 200


def _log(call: Call) -> None:
    logger.info(
        "call settled",
        extra={
            "call_id": str(call.id),
            "request_id": call.origin.request_id,
            "tenant": call.admitted.principal.tenant.slug,
            "target": call.admitted.target.name,
            "cost_usd": str(call.cost_usd),
        },
    )


def _elapsed_ms(call: Call, at: float | None) -> int | None:
    return None if at is None else int((at - call.started_at) * 1000)


def estimate(admitted: Admitted, *, received: str = "") -> Usage:
    """Usage of a call whose end the vendor never told: its input, and the output that passed."""
    return admitted.target.provider.estimate(admitted.request, received)


def worst_case(call: Call) -> Usage:
    """Usage of a call that may have been answered in full without our seeing any of it."""
    request = call.admitted.request
    output = (request.max_tokens or settings.default_max_tokens) * request.n
    return replace(estimate(call.admitted), output_tokens=output)
