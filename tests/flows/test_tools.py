"""The loop of a call with the host's own tools, against the vendor stand-in: each step a call, each call a row."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.datatypes import Tool, ToolChoice
from django_wp_ai.exceptions import Invalid, ProviderUnavailable, RateLimited
from django_wp_ai.gateway.chat import Completed
from django_wp_ai.gateway.tools.loop import complete_with_tools
from django_wp_ai.models import Conversation, UsageEvent
from django_wp_ai.providers.registry import aclose
from django_wp_ai.tools import tool
from tests.flows.conftest import ORIGIN, Street, asking
from tests.flows.shop import CALL, NAMES, change, seen, shop
from tests.vendor.running import RunningVendor

__all__ = ["seen", "shop"]
CLIENT = Tool("open_page", parameters={"type": "object", "properties": {}})


def ask(street: Street, text: str, *tools: str, **fields: Any) -> Completed:
    request = asking(text, server_tools=tools or NAMES, **fields)
    return street.run(complete_with_tools(street.principal, request, ORIGIN))


def rows(street: Street) -> list[UsageEvent]:
    return list(UsageEvent.objects.for_tenant(street.principal.tenant).order_by("id"))


def trace(done: Completed) -> list[tuple[int, str, bool, str]]:
    return [(step.step, step.tool, step.ok, step.error) for step in done.trace]


@pytest.mark.parametrize("model", ["gpt-4o-mini", "claude-haiku-4-5"])
def test_a_tool_is_run_and_the_model_answers_with_its_result(
    shop: Street, vendor: RunningVendor, seen: list[Any], model: str
) -> None:
    done = ask(shop, f"Where is my order? {CALL}", model=model, end_user="42")

    assert "order 7 is on its way" in done.result.choices[0].text
    assert done.result.choices[0].finish_reason == "stop"
    assert seen == [(7, shop.principal.tenant.slug, "42", "request-1")]
    assert trace(done) == [(1, "order_status", True, "")]
    assert len(vendor.requests) == 2
    assert str(vendor.last.body["tools"]) == str(vendor.requests[0].body["tools"])


def test_each_step_is_a_row_and_the_reply_counts_them_all(shop: Street) -> None:
    done = ask(shop, f"Hi {CALL} [[usage=100,10]]")

    first, second = rows(shop)
    assert (first.step, second.step) == (1, 2)
    assert first.trace_id == second.trace_id is not None
    assert {first.state, second.state} == {"settled"}
    assert first.cost_usd == second.cost_usd is not None
    assert (done.call.usage.input_tokens, done.call.usage.output_tokens) == (200, 20)
    assert done.call.cost_usd == first.cost_usd + second.cost_usd
    assert done.call.id == second.call_id


def test_several_calls_of_a_step_are_all_answered(shop: Street, seen: list[Any]) -> None:
    done = ask(shop, f'Hi {CALL} [[tool=stock {{"sku": "a"}}]] [[tool=closed {{}}]]')

    assert trace(done) == [
        (1, "order_status", True, ""),
        (1, "stock", True, ""),
        (1, "closed", False, "refused"),
    ]
    text = done.result.choices[0].text
    assert '{"a":3}' in text
    assert "The shop is closed." in text
    assert len(seen) == 2


def test_arguments_that_do_not_fit_are_told_to_the_model(shop: Street, seen: list[Any]) -> None:
    done = ask(shop, 'Hi [[tool=order_status {"number": "seven"}]]')
    assert "number: Input should be a valid integer" in done.result.choices[0].text
    assert trace(done) == [(1, "order_status", False, "invalid_arguments")]
    assert not seen


def test_the_last_step_gets_no_tools(shop: Street, settings: Any, vendor: RunningVendor, seen: list[Any]) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TOOL_MAX_STEPS": 3}
    done = ask(shop, f"Hi {CALL} [[rounds=9]]")

    assert len(vendor.requests) == 3
    assert [request.body.get("tool_choice") for request in vendor.requests] == [None, "auto", "none"]
    assert [step.step for step in done.trace] == [1, 2]
    assert done.result.choices[0].finish_reason == "stop"
    assert len(seen) == 2


def test_one_step_is_an_answer_without_tools(shop: Street, settings: Any, seen: list[Any]) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TOOL_MAX_STEPS": 1}
    done = ask(shop, f"Hi {CALL}")
    assert (len(rows(shop)), seen, done.trace) == (1, [], ())


def test_a_choice_that_forces_a_tool_forces_it_once(shop: Street, vendor: RunningVendor) -> None:
    choice = ToolChoice("function", "order_status", parallel=False)
    ask(shop, f"Hi {CALL}", tool_choice=choice)
    assert vendor.requests[0].body["tool_choice"] == {"type": "function", "function": {"name": "order_status"}}
    assert vendor.last.body["tool_choice"] == "auto"
    assert vendor.last.body["parallel_tool_calls"] is False


def test_a_caller_who_wants_no_tool_called_gets_none(shop: Street, vendor: RunningVendor, seen: list[Any]) -> None:
    ask(shop, f"Hi {CALL}", tool_choice=ToolChoice("none"))
    assert (len(vendor.requests), seen) == (1, [])


def test_the_money_cap_stops_before_a_tool_acts_in_vain(shop: Street, settings: Any, seen: list[Any]) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TOOL_MAX_USD": "0.02"}
    done = ask(shop, f"Hi {CALL} [[rounds=9 usage=50000,1000]]", max_tokens=1000)

    spent = sum((row.cost_usd or Decimal(0)) for row in rows(shop))
    assert Decimal("0.008") < spent <= Decimal("0.02")
    assert done.result.choices[0].finish_reason == "length"
    assert not done.result.choices[0].tool_calls
    assert len(seen) == len(rows(shop)) - 1
    assert trace(done)[-1] == (len(rows(shop)), "order_status", False, "max_usd")


def test_an_unknown_price_leaves_the_step_cap_alone(shop: Street, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "TOOL_MAX_USD": "0.000001"}
    done = ask(shop, f"Hi {CALL}", model="gpt-unheard-of")
    assert len(rows(shop)) == 2
    assert done.call.cost_usd is None


def test_a_call_that_is_the_callers_ends_the_loop(shop: Street, seen: list[Any]) -> None:
    done = ask(shop, f"Hi {CALL} [[tool=open_page {{}}]]", tools=(CLIENT,))

    choice = done.result.choices[0]
    assert [call.name for call in choice.tool_calls] == ["open_page"]
    assert choice.finish_reason == "tool_calls"
    assert (seen, trace(done)) == ([], [(1, "order_status", False, "not_run")])


def test_a_callers_function_comes_after_a_tool_of_this_side(shop: Street, seen: list[Any]) -> None:
    done = ask(shop, f"Hi {CALL}", "order_status", tools=(CLIENT,))
    assert done.result.choices[0].finish_reason == "stop"
    assert len(seen) == 1


@pytest.mark.parametrize("names", [("order_cancel",), ("order_status", "order_status"), ("",)])
def test_a_tool_that_is_not_there_is_refused_before_anything_is_sent(
    shop: Street, vendor: RunningVendor, names: tuple[str, ...]
) -> None:
    with pytest.raises(Invalid) as refused:
        ask(shop, "Hi", *names)
    assert refused.value.errors[0]["field"] == "tools"
    assert not vendor.requests
    assert not rows(shop)


def test_a_tool_that_the_site_may_not_use_is_refused(street: Street, vendor: RunningVendor) -> None:
    with pytest.raises(Invalid, match="no tool order_status"):
        ask(street, f"Hi {CALL}", "order_status")
    assert not vendor.requests


def test_tools_go_with_one_answer(shop: Street) -> None:
    with pytest.raises(Invalid, match="n must be 1"):
        ask(shop, "Hi", n=2)


def test_a_step_counts_in_the_rates_like_any_call(shop: Street, seen: list[Any]) -> None:
    change(shop, rpm=1)
    with pytest.raises(RateLimited):
        ask(shop, f"Hi {CALL}")
    assert [row.state for row in rows(shop)] == ["settled"]
    assert len(seen) == 1


def test_a_failure_at_a_later_step_leaves_the_earlier_ones_paid(shop: Street, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "MAX_ATTEMPTS": 1, "RETRY_BASE_S": 0.01}

    providers = settings.DJANGO_WP_AI["PROVIDERS"]
    broken = {**providers, "openai": {**providers["openai"], "base_url": "http://127.0.0.1:1/v1"}}

    @tool()
    async def unplug() -> None:
        await aclose()
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": broken}

    with pytest.raises(ProviderUnavailable):
        ask(shop, "Hi [[tool=unplug {}]]", "unplug", max_tokens=50)
    first, second = rows(shop)
    assert (first.error_code, second.error_code) == ("", "provider_unavailable")
    assert first.cost_usd
    assert second.cost_usd == 0


def test_a_conversation_keeps_the_question_and_the_answer_once(shop: Street, vendor: RunningVendor) -> None:
    done = ask(shop, f"Where is it? {CALL}", conversation_id="new")
    shop.finish()

    conversation = Conversation.objects.for_tenant(shop.principal.tenant).get()
    assert str(conversation.pk) == str(done.call.admitted.history.id)
    vendor.clear()
    ask(shop, "And now?", conversation_id=str(conversation.pk))
    roles = [message["role"] for message in vendor.last.body["messages"] if message["role"] != "system"]
    assert roles == ["user", "assistant", "user"]


def test_personal_data_is_hidden_from_the_provider_and_not_from_the_tool(
    shop: Street, vendor: RunningVendor, seen: list[Any]
) -> None:
    change(shop, redact_pii=True)
    done = ask(shop, 'Stock for me? [[tool=stock {"sku": "ada@example.org"}]]')

    assert seen == ["ada@example.org"]
    assert '{"ada@example.org":3}' in done.result.choices[0].text
    assert not [request for request in vendor.requests if "ada@example.org" in str(request.body)]
