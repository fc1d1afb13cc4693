"""Streams of calls with the host's own tools: read as one, left at any time, refused in the middle."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from django_wp_ai.datatypes import ChatRequest, Delta, Tool
from django_wp_ai.exceptions import Invalid, ProviderError, RateLimited
from django_wp_ai.gateway.tools.stream import ToolStream, open_stream_with_tools
from django_wp_ai.models import UsageEvent
from django_wp_ai.tools import tool
from tests.flows.conftest import ORIGIN, Street, asking
from tests.flows.shop import CALL, NAMES, change, seen, shop
from tests.vendor.running import RunningVendor

__all__ = ["seen", "shop"]
CLIENT = Tool("open_page", parameters={"type": "object", "properties": {}})


def opened(street: Street, text: str, *tools: str, **fields: Any) -> ToolStream:
    request: ChatRequest = asking(text, server_tools=tools or NAMES, **fields)
    return street.run(open_stream_with_tools(street.principal, request, ORIGIN))


async def read(stream: ToolStream, count: int | None = None) -> list[Delta]:
    found: list[Delta] = []
    while (count is None or len(found) < count) and (delta := await stream.next()) is not None:
        found.append(delta)
    return found


def rows(street: Street) -> list[UsageEvent]:
    return list(UsageEvent.objects.for_tenant(street.principal.tenant).order_by("id"))


def test_the_answer_is_streamed_after_what_tells_of_the_tools(shop: Street, seen: list[Any]) -> None:
    stream = opened(shop, f'Hi {CALL} [[tool=stock {{"sku": "a"}}]] [[usage=100,10]]')
    first = stream.call.id
    deltas = shop.run(read(stream))

    steps = [delta.tool_step for delta in deltas if delta.tool_step]
    assert [(step.step, step.tool, step.ok) for step in steps] == [(1, "order_status", True), (1, "stock", True)]
    assert deltas[0].tool_step is not None
    assert "order 7 is on its way" in "".join(delta.text for delta in deltas)
    assert not [delta for delta in deltas if delta.tool_call]
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == ["stop"]
    assert (stream.call.usage.input_tokens, stream.call.usage.output_tokens) == (200, 20)
    assert [row.call_id for row in rows(shop)] == [first, stream.call.id]
    assert stream.call.cost_usd == sum(row.cost_usd or 0 for row in rows(shop))
    assert shop.run(stream.next()) is None  # and stays at its end
    assert len(seen) == 2


def test_what_is_said_before_a_tool_is_called_is_streamed_too(shop: Street) -> None:
    deltas = shop.run(read(opened(shop, f"Hi {CALL} [[say=One moment.]]")))
    at = next(index for index, delta in enumerate(deltas) if delta.tool_step)
    assert "".join(delta.text for delta in deltas[:at]) == "One moment."
    assert "".join(delta.text for delta in deltas[at:]) == "One moment."  # as the stand-in was told for every step


def test_a_call_that_is_the_callers_is_handed_over_whole(shop: Street, seen: list[Any]) -> None:
    stream = opened(shop, f'Hi {CALL} [[tool=open_page {{"a": "a long argument"}}]]', tools=(CLIENT,))
    deltas = shop.run(read(stream))

    calls = [delta.tool_call for delta in deltas if delta.tool_call]
    assert [(call.index, call.name, call.arguments) for call in calls] == [(0, "open_page", '{"a": "a long argument"}')]
    assert [call.name for call in stream.tool_calls.values()] == ["open_page"]
    assert stream.call.finish_reason == "tool_calls"
    assert [step.error for delta in deltas if (step := delta.tool_step)] == ["not_run"]
    assert not seen


def test_a_refusal_of_the_first_step_is_raised_before_the_stream(shop: Street, vendor: RunningVendor) -> None:
    with pytest.raises(Invalid):
        opened(shop, "Hi", "order_cancel")
    change(shop, rpm=1)
    shop.run(read(opened(shop, "Hi")))
    with pytest.raises(RateLimited):
        opened(shop, "Hi")
    assert len(vendor.requests) == 1


def test_a_refusal_of_a_later_step_is_raised_where_it_happens(shop: Street) -> None:
    change(shop, rpm=1)
    stream = opened(shop, f"Hi {CALL}")
    found = shop.run(read(stream, 1))
    assert found[0].tool_step is not None
    with pytest.raises(RateLimited):
        shop.run(read(stream))
    assert shop.run(stream.next()) is None
    assert [row.state for row in rows(shop)] == ["settled"]


def test_a_provider_that_breaks_off_ends_the_stream(shop: Street) -> None:
    stream = opened(shop, "Hi [[chunks=9 cut_after=2]]")
    with pytest.raises(ProviderError):
        shop.run(read(stream))
    assert shop.run(stream.next()) is None


def test_silence_while_a_tool_works_is_told_and_costs_nothing(shop: Street) -> None:
    done = threading.Event()

    @tool()
    def think() -> str:
        done.wait()
        return "thought"

    stream = opened(shop, "Hi [[tool=think {}]]", "think")
    with pytest.raises(TimeoutError):
        shop.run(stream.next(timeout_s=0.05))
    done.set()
    assert "thought" in "".join(delta.text for delta in shop.run(read(stream)))


def test_a_reader_that_leaves_while_a_tool_works_begins_no_further_step(shop: Street, vendor: RunningVendor) -> None:
    begun, done = threading.Event(), threading.Event()
    ended = []

    @tool()
    async def work() -> None:
        begun.set()
        await asyncio.to_thread(done.wait)
        ended.append(1)

    stream = opened(shop, "Hi [[tool=work {}]]", "work")
    with pytest.raises(TimeoutError):
        shop.run(stream.next(timeout_s=0.05))
    begun.wait()
    stream.leave()
    stream.leave()
    done.set()
    shop.finish()
    assert ended == [1]  # what a tool has begun it may end
    assert len(vendor.requests) == 1
    assert [row.state for row in rows(shop)] == ["settled"]
    assert shop.run(stream.next()) is None


@pytest.mark.usefixtures("no_drain")
def test_a_reader_that_leaves_in_the_last_step_leaves_priced_rows(shop: Street, vendor: RunningVendor) -> None:
    vendor.release(6)
    stream = opened(shop, f"Hi {CALL} [[hold]]")
    shop.run(read(stream, 2))
    stream.leave()
    shop.finish()
    assert [(row.state, row.error_code) for row in rows(shop)] == [("settled", ""), ("settled", "disconnected")]
    assert all(row.cost_usd for row in rows(shop))


def test_a_reader_that_leaves_while_a_step_is_opened_leaves_its_true_price(shop: Street, vendor: RunningVendor) -> None:
    vendor.release(3)
    stream = opened(shop, f"Hi {CALL} [[hold usage=100,10]]")
    assert shop.run(read(stream, 1))[0].tool_step is not None
    with pytest.raises(TimeoutError):
        shop.run(stream.next(timeout_s=0.1))
    stream.leave()
    vendor.release(None)
    shop.finish()
    assert [(row.state, row.input_tokens) for row in rows(shop)] == [("settled", 100), ("settled", 100)]
