"""The row of a call: opened, opened again for another attempt, settled, or written for a kept answer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, transaction

from django_wp_ai.datatypes import ChatResult, Choice, Principal, Usage
from django_wp_ai.exceptions import BudgetExceeded, ProviderTimeout, RateLimited
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.gateway.routing import Target
from django_wp_ai.models import Budget, BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.policy import rates
from django_wp_ai.policy.limits import Limit, tenant_key
from django_wp_ai.providers.registry import providers as configured
from tests.factories import TenantFactory, make_credential
from tests.flows.conftest import principal_for

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("providers")]

ORIGIN = Origin("chat", "request-1")
MINI, LARGE, UNPRICED = "openai:gpt-4o-mini", "openai:gpt-4o", "openai:gpt-4o-of-tomorrow"
LARGEST = Usage(input_tokens=1000, output_tokens=1000, estimated=True)
MINI_USD, LARGE_USD = Decimal("0.00075"), Decimal("0.0125")  # what that costs


@dataclass(frozen=True)
class Asked:
    """An admitted call of no particular kind."""

    principal: Principal
    targets: tuple[Target, ...]
    end_user: str = "7"
    plugin: str = "seo"
    prompt_template: str = "summary@3"
    usage: Usage = field(default=LARGEST)

    def largest(self) -> Usage:
        return self.usage


def target(name: str) -> Target:
    provider, _, model = name.partition(":")
    return Target(configured()[provider], model)


def asked(*models: str, **limits: Any) -> Asked:
    tenant = TenantFactory.create(**limits)
    principal = principal_for(tenant, make_credential("api_key", tenant=tenant).credential)
    return Asked(principal, tuple(target(model) for model in models or (MINI,)))


def left_of(tenant: Tenant, limit: Limit) -> int:
    """What another call would find of a limit."""
    decision = rates.take(tenant_key(tenant), [replace(limit, cost=0)])
    return decision.statuses[0].remaining


def month(tenant: Tenant) -> tuple[Decimal, Decimal]:
    row = BudgetPeriod.objects.for_tenant(tenant).get(kind="month", subject="")
    return row.spent_usd, row.reserved_usd


def rows(of: Asked) -> list[UsageEvent]:
    return list(UsageEvent.objects.for_tenant(of.principal.tenant).order_by("id"))


def test_a_row_says_all_that_is_known_of_the_call() -> None:
    one = asked(budget_month_usd=Decimal(1))
    call = ledger.open_call(one, ORIGIN, streamed=False)
    [row] = rows(one)
    assert (row.call_id, row.state, row.reserved_usd) == (call.id, "pending", MINI_USD)
    call.finish_reason = "stop"
    ledger.settle(call, Usage(input_tokens=100, output_tokens=10, cached_input_tokens=40, reasoning_tokens=5))

    [row] = rows(one)
    assert (row.end_user, row.plugin, row.prompt_template, row.request_id) == ("7", "seo", "summary@3", "request-1")
    assert (row.provider, row.model, row.state, row.finish_reason) == ("openai", "gpt-4o-mini", "settled", "stop")
    assert (row.input_tokens, row.output_tokens, row.cached_input_tokens, row.reasoning_tokens) == (100, 10, 40, 5)
    assert (row.trace_id, row.step, row.provider_status, row.cached) == (call.id, 0, 200, False)
    assert row.cost_usd == call.cost_usd
    assert (row.input_price, row.output_price) == (Decimal("0.15"), Decimal("0.6"))
    assert row.latency_ms is not None
    assert row.first_token_ms is None
    assert month(one.principal.tenant) == (row.cost_usd, 0)


def test_the_dearest_candidate_is_reserved_and_the_last_one_asked_is_charged() -> None:
    one = asked(MINI, LARGE, budget_month_usd=Decimal(1))
    call = ledger.open_call(one, ORIGIN, streamed=False)
    assert month(one.principal.tenant) == (0, LARGE_USD)
    ledger.retarget(call, target(LARGE))
    assert call.target.model == call.model == "gpt-4o"
    ledger.settle(call, replace(LARGEST, estimated=False))
    assert [(row.model, row.cost_usd) for row in rows(one)] == [("gpt-4o", LARGE_USD)]
    assert month(one.principal.tenant) == (LARGE_USD, 0)


def test_a_candidate_without_a_price_is_refused_under_a_budget_of_any_kind() -> None:
    one = asked(MINI, UNPRICED)
    assert ledger.open_call(one, ORIGIN, streamed=False).held.amount_usd is None
    tenant = one.principal.tenant
    Budget.objects.create(tenant=tenant, applies_to="end_user", period="day", amount_usd=Decimal(1))
    tenant.refresh_from_db()  # else it keeps the budgets it came with
    with pytest.raises(BudgetExceeded, match="price"):
        ledger.open_call(one, ORIGIN, streamed=False)


def test_a_refused_call_takes_no_rate_no_place_and_leaves_no_row() -> None:
    one = asked(budget_month_usd=Decimal("0.0001"), rpm=5, max_streams=1)
    for _ in range(8):
        with pytest.raises(BudgetExceeded):
            ledger.open_call(one, ORIGIN, streamed=True)
    tenant = one.principal.tenant
    assert left_of(tenant, Limit(name="rpm", quota=5, window_s=60)) == 5
    assert not rows(one)
    tenant.budget_month_usd = None
    call = ledger.open_call(one, ORIGIN, streamed=True)
    with pytest.raises(RateLimited, match="streams at the same time"):
        ledger.open_call(one, ORIGIN, streamed=True)
    assert left_of(tenant, Limit(name="rpm", quota=5, window_s=60)) == 4
    ledger.renew(call)
    ledger.settle(call, Usage())
    ledger.settle(ledger.open_call(one, ORIGIN, streamed=True), Usage())


def test_an_attempt_that_may_have_been_charged_keeps_its_worst_case_on_its_own_row() -> None:
    one = asked(LARGE, MINI, budget_month_usd=Decimal(1), tpm=10_000, rpm=5, max_streams=1)
    tenant = one.principal.tenant
    call = ledger.open_call(one, replace(ORIGIN, step=2), streamed=True)
    first = call.id
    ledger.reopen(call, target(MINI), after=ProviderTimeout(charged=True))
    assert month(tenant) == (LARGE_USD, LARGE_USD)
    with pytest.raises(RateLimited):  # the place is still the call's
        ledger.open_call(one, ORIGIN, streamed=True)
    ledger.settle(call, Usage(input_tokens=10, output_tokens=10))

    failed, answered = rows(one)
    assert (failed.call_id, failed.model, failed.error_code) == (first, "gpt-4o", "provider_timeout")
    assert (failed.estimated, failed.cost_usd, failed.provider_status) == (True, LARGE_USD, None)
    assert (answered.call_id, answered.model, answered.error_code) == (call.id, "gpt-4o-mini", "")
    assert failed.trace_id == answered.trace_id == first
    assert (failed.step, answered.step) == (2, 3)
    assert month(tenant) == (LARGE_USD + answered.cost_usd, 0)
    assert left_of(tenant, Limit(name="rpm", quota=5, window_s=60)) == 4
    assert left_of(tenant, Limit(name="tpm", quota=10_000, window_s=60, unit="tokens")) == 10_000 - 2000 - 20
    ledger.settle(ledger.open_call(one, ORIGIN, streamed=True), Usage())


def test_another_attempt_that_the_budget_does_not_cover_leaves_the_call_as_it_was() -> None:
    one = asked(LARGE, MINI, budget_month_usd=LARGE_USD)
    call = ledger.open_call(one, ORIGIN, streamed=False)
    first = call.id
    failure = ProviderTimeout(charged=True)
    with pytest.raises(BudgetExceeded):
        ledger.reopen(call, target(MINI), after=failure)
    assert (call.id, call.target.model, call.step) == (first, "gpt-4o", 0)
    ledger.settle(call, LARGEST, error=failure)
    assert [(row.model, row.state) for row in rows(one)] == [("gpt-4o", "settled")]
    assert month(one.principal.tenant) == (LARGE_USD, 0)


def test_a_kept_answer_is_a_row_that_costs_nothing_and_counts_as_a_request() -> None:
    one = asked(rpm=3, tpm=2000, max_streams=0, budget_month_usd=Decimal(0))
    kept = ChatResult((Choice("hello", "stop"),), Usage(input_tokens=900, output_tokens=500), "gpt-4o-mini-2024")
    calls = [ledger.record_hit(one, ORIGIN, kept, streamed=streamed) for streamed in (False, True, False)]
    with pytest.raises(RateLimited):
        ledger.record_hit(one, ORIGIN, kept, streamed=False)
    assert {(row.state, row.cached, row.cost_usd, row.input_tokens, row.finish_reason) for row in rows(one)} == {
        ("settled", True, 0, 900, "stop")
    }
    call = calls[0]
    assert (call.cached, call.cost_usd, call.model, call.usage) == (True, 0, "gpt-4o-mini-2024", kept.usage)
    assert left_of(one.principal.tenant, Limit(name="tpm", quota=2000, window_s=60, unit="tokens")) == 2000


def test_a_kept_answer_whose_row_can_not_be_written_takes_no_rate() -> None:
    one = asked(rpm=3)
    kept = ChatResult((Choice("hello", "stop"),), Usage(output_tokens=-1), "gpt-4o-mini")
    with transaction.atomic(), pytest.raises(DatabaseError), transaction.atomic():
        ledger.record_hit(one, ORIGIN, kept, streamed=False)
    assert left_of(one.principal.tenant, Limit(name="rpm", quota=3, window_s=60)) == 3


def test_a_row_that_can_not_be_settled_stays_pending_and_gives_its_place_back() -> None:
    one = asked(max_streams=1)
    call = ledger.open_call(one, ORIGIN, streamed=True)
    with pytest.raises(ValueError, match="amount"):
        ledger.settle(call, Usage(output_tokens=-1))
    assert rows(one)[0].state == "pending"
    ledger.settle(ledger.open_call(one, ORIGIN, streamed=True), Usage())


def test_steps_of_one_request_share_a_trace() -> None:
    one = asked()
    first = ledger.open_call(one, ORIGIN, streamed=False)
    second = ledger.open_call(one, replace(ORIGIN, trace_id=first.trace_id, step=1), streamed=False)
    assert [(row.trace_id, row.step) for row in rows(one)] == [(first.id, 0), (first.id, 1)]
    assert second.id != first.id
