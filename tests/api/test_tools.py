"""Tools of this side through ``v1/chat``: named in the body, told in the reply and in the stream."""

from __future__ import annotations

from typing import Any

import pytest

from django_wp_ai.models import Tenant
from django_wp_ai.tools import tool
from tests.api.conftest import Site, body_of, events
from tests.api.refusals import check_shape, row_counts
from tests.flows.shop import CALL, seen
from tests.vendor.running import RunningVendor

__all__ = ["seen"]
CLIENT = {"type": "function", "function": {"name": "open_page", "parameters": {"type": "object", "properties": {}}}}
CANARY = "canary-in-a-prompt"

pytestmark = pytest.mark.usefixtures("seen")


@pytest.fixture
def shop(site: Site) -> Site:
    Tenant.objects.filter(pk=site.tenant.pk).update(allowed_tools=["order_*", "stock", "breaks"])
    return site


def test_the_reply_traces_the_tools_without_what_they_said(shop: Site) -> None:
    body = {"prompt": f"Where is it? {CALL} [[usage=100,10]]", "tools": ["order_status"]}
    told = shop.post("v1/chat", body).json()

    (entry,) = told["trace"]
    assert set(entry) == {"step", "tool", "ok", "ms"}
    assert (entry["step"], entry["tool"], entry["ok"]) == (1, "order_status", True)
    assert "order 7 is on its way" in told["content"]
    assert told["usage"]["input_tokens"] == 200
    assert told["usage"]["cost_usd"] == pytest.approx(sum(float(row.cost_usd or 0) for row in shop.usage()))
    first, second = shop.usage()
    assert (first.step, second.step, first.trace_id) == (1, 2, second.trace_id)


def test_a_reply_without_tools_has_no_trace(shop: Site) -> None:
    assert "trace" not in shop.post("v1/chat", {"prompt": "Hi"}).json()


@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/stream"])
def test_a_stream_tells_of_tools_between_its_deltas(shop: Site, path: str) -> None:
    body = {"prompt": f"Where is it? {CALL} [[usage=100,10]]", "tools": ["order_status"], "stream": True}
    found = events(body_of(shop.post(path, body)))

    assert [event.name for event in found if event.name] == ["start", "tool", "done"]
    assert next(event.data for event in found if event.name == "tool") == {
        "step": 1,
        "name": "order_status",
        "ok": True,
    }
    text = "".join(event.data["delta"] for event in found if not event.name and event.data != "[DONE]")
    assert "order 7 is on its way" in text
    done = next(event.data for event in found if event.name == "done")
    assert (done["finish_reason"], done["usage"]["input_tokens"]) == ("stop", 200)
    assert found[-1].data == "[DONE]"


def test_a_callers_own_function_is_returned_to_it(shop: Site, seen: list[Any]) -> None:
    body: dict[str, Any] = {"prompt": f"Hi {CALL} [[tool=open_page {{}}]]", "tools": ["order_status", CLIENT]}
    told = shop.post("v1/chat", body).json()
    assert [call["function"]["name"] for call in told["tool_calls"]] == ["open_page"]
    assert told["trace"] == [{"step": 1, "tool": "order_status", "ok": False, "ms": 0, "error": "not_run"}]

    streamed = events(body_of(shop.post("v1/chat", {**body, "stream": True})))
    done = next(event.data for event in streamed if event.name == "done")
    assert [call["function"]["name"] for call in done["tool_calls"]] == ["open_page"]
    assert done["finish_reason"] == "tool_calls"
    assert not seen


def test_a_refusal_in_the_middle_of_a_stream_is_an_error_event(shop: Site) -> None:
    Tenant.objects.filter(pk=shop.tenant.pk).update(rpm=1)
    found = events(body_of(shop.post("v1/chat", {"prompt": f"Hi {CALL}", "tools": ["order_status"], "stream": True})))
    error = next(event.data for event in found if event.name == "error")
    assert (error["code"], error["status"]) == ("rate_limited", 429)
    assert found[-1].data == "[DONE]"


@pytest.mark.parametrize(
    ("tools", "field"),
    [
        (["order_cancel"], "tools"),
        (["closed"], "tools"),
        (["order_status", "order_status"], "tools"),
        (["open_page", CLIENT], "tools"),
        (["a b"], "tools.0.name"),
        ([""], "tools.0.name"),
        (["x" * 65], "tools.0.name"),
        ([None], "tools.0.function"),
        ([["order_status"]], "tools.0.function"),
        ([{"type": "server", "name": "order_status"}], "tools.0.function"),
        ("order_status", "tools"),
        (["order_status"] * 129, "tools"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_tools_that_can_not_be_offered_are_refused_by_name(
    shop: Site, vendor: RunningVendor, tools: Any, field: str
) -> None:
    before = row_counts()
    for path in ("v1/chat", "v1/chat/stream"):
        body = check_shape(shop.post(path, {"prompt": "Hi", "tools": tools}), path, 422, "invalid")
        assert all(error["field"].startswith(field) for error in body["errors"])
        assert body["errors"]
    assert row_counts() == before
    assert not vendor.requests


def test_a_choice_may_name_a_tool_of_this_side(shop: Site) -> None:
    choice = {"type": "function", "function": {"name": "stock"}}
    body = {"prompt": 'Hi [[tool=stock {"sku": "a"}]]', "tools": ["stock"], "tool_choice": choice}
    assert shop.post("v1/chat", body).json()["trace"][0]["tool"] == "stock"


def test_the_offline_provider_runs_a_tool_when_told_to(shop: Site) -> None:
    body = {"prompt": "Stock of a", "model": "offline-extractive", "tools": ["stock"], "tool_choice": "required"}
    told = shop.post("v1/chat", body).json()
    assert told["trace"][0]["ok"] is True
    assert "the tool returned" in told["content"]


def test_a_dry_run_counts_the_tools_it_would_offer(shop: Site, vendor: RunningVendor, seen: list[Any]) -> None:
    def tokens(**fields: Any) -> int:
        told = shop.post("v1/chat", {"prompt": f"Hi {CALL}", "dry_run": True, **fields}).json()
        count: int = told["usage"]["input_tokens"]
        return count

    assert tokens(tools=["order_status"]) > tokens()
    response = shop.post("v1/chat", {"prompt": "Hi", "dry_run": True, "tools": ["closed"]})
    check_shape(response, "v1/chat", 422, "invalid")
    assert not seen
    assert not vendor.requests


def test_what_a_prompt_says_reaches_no_log_by_way_of_a_tool(shop: Site, caplog: pytest.LogCaptureFixture) -> None:
    @tool()
    def breaks(text: str) -> str:
        raise ValueError(text)

    caplog.set_level("DEBUG")
    calls = f'[[tool=breaks {{"text": "{CANARY}"}}]] [[tool=stock {{"sku": 5, "{CANARY}": 1}}]]'
    told = shop.post("v1/chat", {"prompt": f"Hi {calls}", "tools": ["breaks", "stock"]}).json()

    assert [(entry["error"], CANARY in str(entry)) for entry in told["trace"]] == [
        ("failed", False),
        ("invalid_arguments", False),
    ]
    assert "tool breaks failed with ValueError" in caplog.text
    assert CANARY not in caplog.text


@pytest.mark.parametrize("path", ["v1/chat/completions", "v1/messages"])
def test_the_vendors_own_routes_take_functions_only(shop: Site, path: str) -> None:
    message = {"role": "user", "content": "Hi"}
    body = {"model": "fast", "max_tokens": 9, "messages": [message], "tools": ["order_status"]}
    check_shape(shop.post(path, body), path, 422, "invalid")
