"""Who is asked next when one does not answer, and what that leaves in the ledger."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.exceptions import BudgetExceeded, ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable
from django_wp_ai.gateway.chat import Completed, complete
from django_wp_ai.models import BudgetPeriod, UsageEvent
from django_wp_ai.policy import breaker
from tests.flows.conftest import ORIGIN, Street, asking, read
from tests.vendor.running import RunningVendor

FIRST, SECOND = "openai:gpt-4o", "anthropic:claude-haiku-4-5"
ONLY = "[[only=gpt-4o {}]]"


@pytest.fixture(autouse=True)
def both(settings: Any, providers: None) -> None:
    aliases = {"both": [FIRST, SECOND], "one": FIRST}
    settings.DJANGO_WP_AI = {
        **settings.DJANGO_WP_AI,
        "MODEL_ALIASES": aliases,
        "BREAKER_FAILURES": 100,
        "MAX_ATTEMPTS": 3,
    }


def change(settings: Any, **options: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}


def ask(street: Street, text: str, model: str = "both", **fields: Any) -> Completed:
    return street.run(complete(street.principal, asking(text, model=model, **fields), ORIGIN))


def wait_for(vendor: RunningVendor, requests: int) -> None:
    while len(vendor.requests) < requests:
        time.sleep(0.01)


def asked_models(vendor: RunningVendor) -> list[str]:
    return [received.body["model"] for received in vendor.requests]


@pytest.mark.parametrize("failure", ["status=500", "status=503", "status=429", "status=401", "close", "garbage"])
def test_the_next_candidate_is_asked_when_the_first_fails(street: Street, vendor: RunningVendor, failure: str) -> None:
    completed = ask(street, ONLY.format(failure) + "Hi")
    assert completed.call.target.name == SECOND
    assert asked_models(vendor) == ["gpt-4o", "claude-haiku-4-5"]


def test_a_refusal_of_the_request_itself_is_told_at_once(street: Street, vendor: RunningVendor) -> None:
    with pytest.raises(ProviderRefused):
        ask(street, ONLY.format("status=400") + "Hi")
    assert asked_models(vendor) == ["gpt-4o"]


def test_one_row_names_who_answered_when_the_first_charged_nothing(street: Street) -> None:
    ask(street, ONLY.format("status=503") + "Hi")
    row = street.row()
    assert (row.provider, row.model, row.error_code, row.state) == ("anthropic", "claude-haiku-4-5", "", "settled")
    assert row.cost_usd


def test_an_attempt_that_may_be_billed_keeps_a_row_of_its_own(street: Street) -> None:
    ask(street, ONLY.format("garbage") + "Hi", max_tokens=100)
    first, second = UsageEvent.objects.for_tenant(street.principal.tenant).order_by("step")
    assert (first.provider, first.error_code, first.estimated, first.output_tokens) == (
        "openai",
        "provider_error",
        True,
        100,
    )
    assert first.cost_usd
    assert second.cost_usd
    assert (second.provider, second.error_code) == ("anthropic", "")
    assert first.trace_id == second.trace_id
    assert second.step == first.step + 1


def test_a_budget_without_room_for_a_second_attempt_ends_with_the_first_failure(street: Street) -> None:
    tenant = street.principal.tenant
    tenant.budget_day_usd = Decimal("0.0015")  # the worst case of the first is 0.001, of the second 0.0005
    tenant.save()
    with pytest.raises((ProviderError, BudgetExceeded)) as failed:
        ask(street, ONLY.format("garbage") + "Hi", max_tokens=100)
    assert isinstance(failed.value, ProviderError)
    row = street.row()
    assert row.state == "settled"
    counters = BudgetPeriod.objects.for_tenant(tenant)
    assert all(counter.reserved_usd == 0 and counter.spent_usd == row.cost_usd for counter in counters)


def test_a_failure_that_passes_is_asked_again_and_then_answers(street: Street, vendor: RunningVendor) -> None:
    completed = ask(street, "[[status=503 times=2]] Hi", model="one")
    assert completed.result.choices[0].text
    assert len(vendor.requests) == 3


def test_attempts_are_counted_over_all_candidates(street: Street, vendor: RunningVendor, settings: Any) -> None:
    change(settings, MAX_ATTEMPTS=4)
    with pytest.raises(ProviderUnavailable):
        ask(street, "[[status=503]] Hi")
    assert asked_models(vendor) == ["gpt-4o", "claude-haiku-4-5"] * 2


def test_what_can_not_pass_is_not_asked_twice(street: Street, vendor: RunningVendor) -> None:
    with pytest.raises(ProviderError):
        ask(street, "[[status=401]] Hi", model="one")
    assert len(vendor.requests) == 1


def test_a_retry_waits_as_long_as_the_vendor_says(street: Street, vendor: RunningVendor) -> None:
    began = time.monotonic()
    ask(street, "[[status=429 retry_after=1 times=1]] Hi", model="one")
    assert time.monotonic() - began >= 1
    assert len(vendor.requests) == 2


def test_a_wait_beyond_the_deadline_is_told_to_the_caller(street: Street, vendor: RunningVendor, settings: Any) -> None:
    change(settings, CALL_DEADLINE_S=5)
    with pytest.raises(ProviderUnavailable) as failed:
        ask(street, "[[status=429 retry_after=60]] Hi", model="one")
    assert failed.value.retry_after_s == 60
    assert len(vendor.requests) == 1


def test_the_deadline_is_for_all_attempts_together(street: Street, settings: Any) -> None:
    change(settings, CALL_DEADLINE_S=0.3)
    with pytest.raises(ProviderTimeout):
        ask(street, "[[delay=30]] Hi", max_tokens=10)
    rows = UsageEvent.objects.for_tenant(street.principal.tenant)
    assert {row.state for row in rows} == {"settled"}
    assert rows.filter(estimated=True, cost_usd__gt=0).exists()


def test_a_stream_fails_over_before_its_first_delta(street: Street, vendor: RunningVendor) -> None:
    opened = street.open(asking(ONLY.format("error_first") + "Hi", model="both"))
    deltas = street.run(read(opened))
    assert "".join(delta.text for delta in deltas)
    assert opened.call.target.name == SECOND
    assert asked_models(vendor) == ["gpt-4o", "claude-haiku-4-5"]


def test_a_stream_that_breaks_after_its_first_delta_is_not_begun_again(street: Street, vendor: RunningVendor) -> None:
    opened = street.open(asking(ONLY.format("cut_after=2 chunks=9") + "Hi", model="both"))
    with pytest.raises(ProviderError):
        street.run(read(opened))
    assert asked_models(vendor) == ["gpt-4o"]
    row = street.row()
    assert (row.error_code, row.estimated, row.state) == ("provider_error", True, "settled")
    assert row.cost_usd


def test_failures_open_the_breaker_and_then_nobody_is_asked(
    street: Street, vendor: RunningVendor, settings: Any
) -> None:
    change(settings, BREAKER_FAILURES=3, MAX_ATTEMPTS=1)
    for _ in range(3):
        with pytest.raises(ProviderError):
            ask(street, "[[status=500]] Hi", model="one")
    rows = UsageEvent.objects.count()
    with pytest.raises(ProviderUnavailable) as refused:
        ask(street, "Hi", model="one")
    assert refused.value.retry_after_s
    assert len(vendor.requests) == 3
    assert UsageEvent.objects.count() == rows


def test_an_open_breaker_leads_to_the_next_candidate(street: Street, vendor: RunningVendor, settings: Any) -> None:
    change(settings, BREAKER_FAILURES=1)
    breaker.failed("openai")
    assert ask(street, "Hi").call.target.name == SECOND
    assert asked_models(vendor) == ["claude-haiku-4-5"]


def test_one_probe_closes_the_breaker(street: Street, vendor: RunningVendor, settings: Any) -> None:
    change(settings, BREAKER_FAILURES=1, BREAKER_OPEN_S=0.05)
    breaker.failed("openai")
    time.sleep(0.1)
    assert ask(street, "Hi", model="one").call.target.name == FIRST
    assert breaker.open_for_s("openai") == 0
    assert ask(street, "Hi again", model="one").result.choices[0].text


def test_refusals_and_rate_limits_of_other_kinds_do_not_open_the_breaker(
    street: Street, vendor: RunningVendor, settings: Any
) -> None:
    change(settings, BREAKER_FAILURES=1, MAX_ATTEMPTS=1)
    for status in (400, 401, 404, 429):
        with pytest.raises(ProviderError):
            ask(street, f"[[status={status}]] Hi", model="one")
    assert ask(street, "Hi", model="one").result.choices[0].text


def test_a_weighted_alias_shares_calls_and_an_ordered_one_does_not(street: Street, settings: Any) -> None:
    from django_wp_ai.gateway.routing import candidates

    weighted = [{"target": FIRST, "weight": 3}, {"target": SECOND, "weight": 1}]
    change(settings, MODEL_ALIASES={"shared": [*weighted, "offline:offline-extractive"], "both": [FIRST, SECOND]})
    drawn = [candidates(street.principal, model="shared") for _ in range(2000)]
    first = sum(targets[0].name == FIRST for targets in drawn)
    assert 1350 < first < 1650  # 3 of 4, give or take 7.7 standard deviations
    assert {targets[2].name for targets in drawn} == {"offline:offline-extractive"}
    assert all(candidates(street.principal, model="both")[0].name == FIRST for _ in range(50))


def test_a_provider_has_so_many_calls_at_once_and_the_others_wait(
    street: Street, vendor: RunningVendor, settings: Any
) -> None:
    configured = settings.DJANGO_WP_AI["PROVIDERS"]
    change(settings, PROVIDERS={**configured, "openai": {**configured["openai"], "max_concurrency": 2}})

    async def four() -> list[Completed]:
        calls = [complete(street.principal, asking(f"[[hold]] {n}", model="one"), ORIGIN) for n in range(4)]
        tasks = [asyncio.ensure_future(call) for call in calls]
        await asyncio.to_thread(wait_for, vendor, 2)
        await asyncio.sleep(0.1)
        assert len(vendor.requests) == 2
        vendor.release(None)
        return list(await asyncio.gather(*tasks))

    assert len(street.run(four())) == 4
