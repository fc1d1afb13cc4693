"""The usage row of a call: opened before the provider is called, settled once whatever happens after."""

from __future__ import annotations

import copy
import logging
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from django.utils import timezone

from django_wp_ai.datatypes import ChatResult, Principal, Quote, Usage
from django_wp_ai.exceptions import ProviderError, RateLimited
from django_wp_ai.gateway import usage_fields
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target
from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.policy import budget, limits, rate_fields, rates, slots
from django_wp_ai.providers import prices
from django_wp_ai.together import Steps, alone, blocking

logger = logging.getLogger("django_wp_ai.gateway")


class Metered(Protocol):
    """What the ledger must know of an admitted call of any kind: who asks, who may answer, the most it can use."""

    @property
    def principal(self) -> Principal: ...  # noqa: D102
    @property
    def targets(self) -> tuple[Target, ...]: ...  # noqa: D102
    @property
    def end_user(self) -> str: ...  # noqa: D102
    @property
    def plugin(self) -> str: ...  # noqa: D102
    @property
    def prompt_template(self) -> str: ...  # noqa: D102
    def largest(self) -> Usage: ...  # noqa: D102


@dataclass(slots=True)
class Call:
    """One call on its way: what is known of it so far. ``target`` is who is asked now."""

    admitted: Any  # a Metered; its own flow reads the rest of it back
    origin: Origin
    streamed: bool
    target: Target
    id: uuid.UUID = field(default_factory=uuid.uuid4)
    trace_id: uuid.UUID = field(init=False)
    place_id: uuid.UUID = field(init=False)
    step: int = field(init=False)
    started_at: float = field(default_factory=time.monotonic)
    first_token_at: float | None = None
    usage: Usage = field(default_factory=Usage)
    quote: Quote | None = None
    finish_reason: str = ""
    model: str = ""
    cached: bool = False
    tokens_before: int = 0  # of attempts that have rows of their own
    rates: limits.RateDecision = field(init=False)
    held: budget.Reservation = field(init=False)

    def __post_init__(self) -> None:
        self.trace_id = self.origin.trace_id or self.id
        self.place_id = self.id
        self.step = self.origin.step
        self.model = self.target.model

    @property
    def cost_usd(self) -> Decimal | None:
        """What the call cost; None while or where the price is not known."""
        return self.quote.cost_usd if self.quote else None

    @property
    def tenant(self) -> Tenant:
        """Whose call it is."""
        principal: Principal = self.admitted.principal
        return principal.tenant


def opening_call(admitted: Metered, origin: Origin, *, streamed: bool) -> Steps[Call]:
    """Take the rates and a stream's place, reserve the worst case at the dearest candidate, write the row.

    Raises RateLimited or BudgetExceeded; a refusal leaves nothing behind.
    """
    call = Call(admitted, origin, streamed, admitted.targets[0])
    largest = admitted.largest()
    yield from _taking_rates(call, tokens=largest.input_tokens + largest.output_tokens)
    try:
        if streamed:
            slots.require(call.tenant, call.place_id)
        yield from _reserving(call, admitted.targets, largest)
    except BaseException:
        rates.give_back(call.rates)
        _free_place(call)
        raise
    return call


open_call = blocking(opening_call)


def record_hit(admitted: Metered, origin: Origin, kept: ChatResult, *, streamed: bool) -> Call:
    """Blocking: the settled row, at no cost, of a call that a kept answer answers; its request counts in the rates."""
    call = Call(admitted, origin, streamed, admitted.targets[0], usage=kept.usage, cached=True)
    call.model = kept.model or call.model
    call.finish_reason = kept.choices[0].finish_reason if kept.choices else ""
    call.quote = Quote(Decimal(0), prices.FREE)
    call.held = budget.Reservation()
    alone(_taking_rates(call, tokens=0))
    now = timezone.now()
    try:
        UsageEvent.objects.create(
            **usage_fields.opening(call, now) | usage_fields.closing(call, now),
            state=UsageEvent.State.SETTLED,
            cached=True,
            cost_usd=Decimal(0),
        )
    except BaseException:
        rates.give_back(call.rates)
        raise
    _log(call)
    return call


def retarget(call: Call, target: Target) -> None:
    """The next one to be asked, where the last one charged nothing; the row learns of it when it is settled."""
    call.target, call.model = target, target.model


def reopen(call: Call, target: Target, *, after: ProviderError) -> None:
    """Blocking: give the next attempt a row of its own, because the last one may have been charged.

    The last one is settled at its worst case. Rates and the stream's place stay taken. Raises BudgetExceeded when the
    money for another attempt is not there; then ``call`` is as it was, to be settled by who called.
    """
    last = copy.copy(call)
    call.id, call.step, call.started_at = uuid.uuid4(), last.step + 1, time.monotonic()
    retarget(call, target)
    largest = call.admitted.largest()
    targets = call.admitted.targets
    try:
        alone(_reserving(call, (target, *targets), largest))
    except BaseException:
        call.id, call.step, call.started_at = last.id, last.step, last.started_at
        retarget(call, last.target)
        raise
    alone(_settling_row(last, largest, error=after, error_code=""))
    call.tokens_before = last.tokens_before + largest.input_tokens + largest.output_tokens


def renew(call: Call) -> None:
    """Blocking: keep the place of a stream that goes on."""
    slots.renew(call.tenant, call.place_id)


def settling(call: Call, usage: Usage, *, error: ProviderError | None = None, error_code: str = "") -> Steps[None]:
    """Write what was used and what it cost; a second settlement of the same call changes nothing.

    The stream's place is given back, also where the row can't be written and stays pending.
    """
    try:
        if not (yield from _settling_row(call, usage, error=error, error_code=error_code)):
            logger.error("call %s was settled already", call.id)
            return
    finally:
        _free_place(call)
    tokens = call.tokens_before + usage.input_tokens + usage.output_tokens
    yield from rates.adjusting(call.rates, {"tpm": tokens})
    _log(call)


settle = blocking(settling)


def limit_fields(call: Call) -> dict[str, str]:
    """Header fields of the call's rate limits, for a reply that tells of its failure."""
    return _fields(call.rates)


def _taking_rates(call: Call, *, tokens: int) -> Steps[None]:
    principal, origin = call.admitted.principal, call.origin
    wanted = limits.call_limits(principal, route=origin.route, tokens=tokens, end_user=call.admitted.end_user)
    call.rates = yield from rates.taking(limits.tenant_key(principal.tenant), wanted)
    try:
        call.rates.raise_if_refused()
    except RateLimited as refused:
        refused.fields.update(_fields(call.rates))
        raise


def _free_place(call: Call) -> None:
    if call.streamed and not call.cached:
        slots.give_back(call.tenant, call.place_id)


def _fields(decision: limits.RateDecision) -> dict[str, str]:
    return rate_fields.ratelimit_fields(decision) | rate_fields.openai_fields(decision)


def _reserving(call: Call, targets: tuple[Target, ...], largest: Usage) -> Steps[None]:
    """Hold the worst case and write the pending row; no price is looked up where nobody set a budget."""
    now = timezone.now()
    amount = _dearest(targets, largest, now) if budget.has_budget(call.tenant) else None
    call.held = yield from budget.opening_row(
        usage_fields.opening(call, now),
        tenant=call.tenant,
        amount_usd=amount,
        models=[target.name for target in targets],
    )


def _dearest(targets: tuple[Target, ...], usage: Usage, at: datetime) -> Decimal | None:
    """The most that any of the targets can cost; None when the price of one is not known."""
    amounts = []
    for target in targets:
        unit = prices.unit_prices(provider=target.provider, model=target.model, at=at, input_tokens=usage.input_tokens)
        if unit is None:
            return None
        amounts.append(budget.worst_case(unit, usage.input_tokens, usage.output_tokens, 1))
    return max(amounts)


def _settling_row(call: Call, usage: Usage, *, error: ProviderError | None, error_code: str) -> Steps[bool]:
    target, now = call.target, timezone.now()
    call.usage = usage
    call.quote = prices.quote(provider=target.provider, model=target.model, usage=usage, at=now)
    changes = usage_fields.outcome(call, now, error=error, error_code=error_code)
    return (yield from budget.settling_row(call.id, changes, call.held, cost_usd=call.cost_usd, model=target.name))


def _log(call: Call) -> None:
    logger.info(
        "call settled",
        extra={
            "call_id": str(call.id),
            "request_id": call.origin.request_id,
            "tenant": call.tenant.slug,
            "target": call.target.name,
            "cost_usd": str(call.cost_usd),
        },
    )
