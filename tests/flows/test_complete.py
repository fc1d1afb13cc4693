"""A chat answered whole: from admission to the ledger, left in the middle, broken in any way."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from django_wp_ai.datatypes import ChatRequest, ChatResult, Usage
from django_wp_ai.exceptions import Forbidden, Invalid, ModelNotAllowed, ProviderError
from django_wp_ai.gateway import ledger
from django_wp_ai.gateway.chat import complete, open_stream
from django_wp_ai.models import BudgetPeriod, Tenant, UsageEvent
from django_wp_ai.providers import registry
from tests.flows.conftest import ORIGIN, Street, asking, read, until_asked
from tests.vendor.running import RunningVendor


def test_a_whole_call_is_answered_and_settled(street: Street) -> None:
    done = street.run(complete(street.principal, asking("Hi [[say=hello]] [[usage=10,5]]"), ORIGIN))

    row = street.row()
    assert done.result.choices[0].text == "hello"
    assert (row.call_id, row.state, row.request_id) == (done.call.id, "settled", "request-1")
    assert row.cost_usd == done.call.cost_usd == (10 * Decimal("0.15") + 5 * Decimal("0.60")) / 1_000_000


@pytest.mark.usefixtures("odd")
def test_a_provider_that_raises_what_it_must_not_is_a_failed_provider(street: Street) -> None:
    with pytest.raises(ProviderError) as failed:
        street.run(complete(street.principal, asking("Hi", model="odd:odd"), ORIGIN))

    assert "secret-vendor-text" not in str(failed.value)
    row = street.row()
    assert (row.state, row.error_code, row.estimated) == ("settled", "provider_error", True)
    with pytest.raises(ProviderError):
        street.open(asking("first", model="odd:odd"))
    broken = street.open(asking("then", model="odd:odd"))
    with pytest.raises(ProviderError):
        street.run(read(broken))
    street.finish()
    assert {row.state for row in UsageEvent.objects.all()} == {"settled"}


def test_a_caller_that_leaves_a_whole_call_leaves_its_true_price(street: Street, vendor: RunningVendor) -> None:
    async def leave() -> None:
        asked = asyncio.ensure_future(complete(street.principal, asking("Hi [[hold usage=10,5]]"), ORIGIN))
        await until_asked(vendor)
        asked.cancel()
        await asyncio.wait([asked])

    street.run(leave())
    vendor.release(None)
    street.finish()
    row = street.row()
    assert (row.state, row.input_tokens, row.output_tokens, row.estimated) == ("settled", 10, 5, False)


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (asking("Hi", model="nothing"), ModelNotAllowed),
        (asking("Hi", n=9), Invalid),
        (asking("  "), Invalid),
        (ChatRequest(messages=()), Invalid),
    ],
)
def test_what_is_not_admitted_is_refused_in_both_ways_and_leaves_nothing(
    street: Street, request_: ChatRequest, error: type[Exception]
) -> None:
    for flow in (complete, open_stream):
        with pytest.raises(error):
            street.run(flow(street.principal, request_, ORIGIN))
    assert not UsageEvent.objects.exists()


def test_a_principal_without_the_scope_is_forbidden(street: Street) -> None:
    object.__setattr__(street.principal, "scopes", frozenset({"jobs"}))
    with pytest.raises(Forbidden):
        street.open(asking("Hi"))


@pytest.mark.usefixtures("odd")
def test_a_settlement_that_fails_does_not_take_the_answer_away(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    done = street.run(complete(street.principal, asking("negative", model="odd:odd"), ORIGIN))
    assert done.result.choices[0].text == "x"
    assert "could not be settled" in caplog.text
    assert street.row().state == "pending"


def test_a_call_is_settled_once(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    Tenant.objects.filter(pk=street.principal.tenant.pk).update(budget_day_usd=5)
    street.principal.tenant.refresh_from_db()
    done = street.run(complete(street.principal, asking("Hi [[usage=10,5]]"), ORIGIN))
    first = street.row()
    ledger.settle(done.call, Usage(input_tokens=10**6))

    again = street.row()
    assert (again.cost_usd, again.input_tokens, again.settled_at) == (first.cost_usd, 10, first.settled_at)
    assert {period.spent_usd for period in BudgetPeriod.objects.all()} == {first.cost_usd}
    assert "settled already" in caplog.text


def test_two_event_loops_use_the_gateway_side_by_side(street: Street) -> None:
    street.run(complete(street.principal, asking("Hi"), ORIGIN))

    async def other() -> ChatResult:
        provider = registry.providers()["openai"]
        result = await provider.chat(asking("Hi [[say=hello]]"), model="gpt-4o-mini")
        await registry.aclose()
        return result

    assert asyncio.run(other()).choices[0].text == "hello"
    street.run(complete(street.principal, asking("Hi"), ORIGIN))
    assert UsageEvent.objects.count() == 2
