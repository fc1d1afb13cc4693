"""Native chat: whole, streamed, refused."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.models import Tenant, UsageEvent
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import MOUNT, Site, body_of, events
from tests.vendor.running import RunningVendor

HI = {"role": "user", "content": "x"}
HTTP_IMAGE = {"type": "image_url", "image_url": {"url": "http://10.0.0.1/x"}}


def test_a_chat_is_answered_whole_and_recorded_with_its_price(site: Site, vendor: RunningVendor) -> None:
    reply = site.post("v1/chat", {"prompt": "Say hi [[say=hi there]] [[usage=1000,500,cached=200]]"}).json()

    assert reply["content"] == "hi there"
    assert reply["provider"] == "openai"
    assert reply["finish_reason"] == "stop"
    assert reply["cached"] is False
    assert reply["usage"]["input_tokens"] == 1000
    assert reply["usage"]["output_tokens"] == 500
    [row] = site.usage()
    # gpt-4o-mini: 0.15, 0.075 (cached) and 0.60 USD per million tokens
    assert row.cost_usd == (800 * Decimal("0.15") + 200 * Decimal("0.075") + 500 * Decimal("0.60")) / 1_000_000
    assert reply["usage"]["cost_usd"] == float(row.cost_usd)
    assert (row.input_price, row.output_price) == (Decimal("0.15"), Decimal("0.60"))
    assert (row.state, row.route, row.provider, row.model) == ("settled", "chat", "openai", "gpt-4o-mini")
    assert not row.estimated
    assert row.provider_status == 200
    assert reply["id"] == f"chat_{row.call_id.hex}"


def test_messages_system_and_site_prompt_reach_the_vendor_in_order(site: Site, vendor: RunningVendor) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(system_prompt="You serve a bakery.")
    site.post(
        "v1/chat",
        {
            "system": "Be brief.",
            "messages": [
                {"role": "user", "content": "One"},
                {"role": "assistant", "content": "Two"},
                {"role": "user", "content": [{"type": "text", "text": "Three"}]},
            ],
            "temperature": 0.2,
            "max_tokens": 77,
        },
    )

    sent = vendor.last.body
    assert [(message["role"], _text(message)) for message in sent["messages"]] == [
        ("system", "You serve a bakery."),
        ("system", "Be brief."),
        ("user", "One"),
        ("assistant", "Two"),
        ("user", "Three"),
    ]
    assert sent["temperature"] == 0.2
    assert 77 in (sent.get("max_tokens"), sent.get("max_completion_tokens"))


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def test_a_stream_has_start_deltas_done_and_the_end_mark(site: Site, vendor: RunningVendor) -> None:
    response = site.post("v1/chat/stream", {"prompt": "Go [[chunks=3]]"})
    raw = body_of(response)

    assert response["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response["Cache-Control"] == "no-cache, no-transform"
    assert response["X-Accel-Buffering"] == "no"
    start, *deltas, done, end = events(raw)
    [row] = site.usage()
    assert start.name == "start"
    assert start.data == {"id": f"chat_{row.call_id.hex}", "model": start.data["model"], "provider": "openai"}
    assert "".join(delta.data["delta"] for delta in deltas) == "tok1 tok2 tok3"
    assert [delta.name for delta in deltas] == [""] * len(deltas)
    assert done.name == "done"
    assert done.data["finish_reason"] == "stop"
    assert done.data["usage"]["cost_usd"] == float(row.cost_usd or 0) > 0
    assert end.data == "[DONE]"
    assert (row.streamed, row.state, row.estimated) == (True, "settled", False)
    assert row.first_token_ms is not None


def test_stream_true_on_the_plain_route_streams_too(site: Site) -> None:
    assert events(body_of(site.post("v1/chat", {"prompt": "Go", "stream": True})))[-1].data == "[DONE]"


@pytest.mark.parametrize("path", ["v1/chat", "v1/chat/stream"])
def test_tool_calls_are_returned(site: Site, path: str) -> None:
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}
    body = {"prompt": 'Weather? [[tool=get_weather {"city":"Paris"}]]', "tools": [tool]}
    response = site.post(path, body)
    reply = events(body_of(response))[-2].data if response.streaming else response.json()

    assert reply["finish_reason"] == "tool_calls"
    [call] = reply["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert '"Paris"' in call["function"]["arguments"]


@pytest.mark.parametrize(
    ("directive", "status", "code"),
    [
        ("[[status=400]]", 422, "invalid"),
        ("[[status=401]]", 502, "provider_error"),
        ("[[status=429 retry_after=7]]", 503, "provider_unavailable"),
        ("[[status=500]]", 502, "provider_error"),
        ("[[close]]", 503, "provider_unavailable"),
        ("[[{broken}]]", 502, "provider_error"),
    ],
)
@pytest.mark.parametrize(("path", "broken"), [("v1/chat", "garbage"), ("v1/chat/stream", "end_after=0")])
def test_a_vendors_failure_before_the_first_token_keeps_its_status(
    site: Site, path: str, broken: str, directive: str, status: int, code: str
) -> None:
    response = site.post(path, {"prompt": f"Hello {directive.format(broken=broken)}"})

    assert response.status_code == status, response.content
    assert response["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == code
    assert problem["request_id"] == response["X-Request-ID"]
    [row] = site.usage()
    assert (row.state, row.error_code) == ("settled", code)
    if "429" in directive:
        assert response["Retry-After"] == "7"
        assert row.provider_status == 429
        assert row.cost_usd == 0


@pytest.mark.parametrize("cut", ["[[chunks=9 cut_after=3]]", "[[chunks=9 end_after=3]]", "[[chunks=9 error_after=3]]"])
def test_a_stream_cut_by_the_vendor_ends_with_an_error_event_and_an_estimate(site: Site, cut: str) -> None:
    parsed = events(body_of(site.post("v1/chat/stream", {"prompt": f"Go {cut}"})))

    assert parsed[0].name == "start"
    assert "done" not in [event.name for event in parsed]
    [error] = [event for event in parsed if event.name == "error"]
    assert error.data["code"] == "provider_error"
    [row] = site.usage()
    assert row.error_code == "provider_error"
    assert row.cost_usd is not None
    assert row.cost_usd > 0


def test_a_stream_without_usage_is_estimated_and_says_so(site: Site) -> None:
    done = events(body_of(site.post("v1/chat/stream", {"prompt": "Go [[chunks=5 no_usage]]"})))[-2].data

    assert done["usage"]["estimated"] is True
    [row] = site.usage()
    assert row.estimated
    assert row.output_tokens > 0
    assert row.cost_usd is not None


def test_an_unknown_price_is_null_and_never_zero(site: Site, settings: Any, vendor: RunningVendor) -> None:
    settings.DJANGO_WP_AI = {
        **settings.DJANGO_WP_AI,
        "PROVIDERS": {
            "local": {"class": "openai", "api_key": "k", "base_url": vendor.openai_url, "models": ["my-own-model"]}
        },
        "DEFAULT_MODEL": "local:my-own-model",
        "MODEL_ALIASES": {},
    }
    reply = site.post("v1/chat", {"prompt": "Hi"}).json()

    assert reply["usage"]["cost_usd"] is None
    [row] = site.usage()
    assert row.cost_usd is None
    assert row.input_price is None


@pytest.mark.parametrize(
    ("model", "provider", "expected"),
    [
        ("", "", ("openai", "gpt-4o-mini")),
        ("fast", "", ("openai", "gpt-4o-mini")),
        ("openai:gpt-4o-mini", "", ("openai", "gpt-4o-mini")),
        ("gpt-4o-mini", "openai", ("openai", "gpt-4o-mini")),
        ("", "offline", ("offline", "offline-extractive")),
        ("legacy-2", "", ("offline", "offline-extractive")),
        ("offline-extractive", "", ("offline", "offline-extractive")),
    ],
)
def test_a_model_is_found_by_name_alias_and_provider(
    site: Site, model: str, provider: str, expected: tuple[str, str]
) -> None:
    site.post("v1/chat", {"prompt": "Hi", "model": model, "provider": provider})
    [row] = site.usage()
    assert (row.provider, row.model) == expected


@pytest.mark.parametrize("body", [{"model": "no-such-model"}, {"model": "gpt-4o-mini", "provider": "nobody"}])
def test_an_unknown_model_is_refused_before_anything_is_sent(
    site: Site, vendor: RunningVendor, body: dict[str, str]
) -> None:
    response = site.post("v1/chat", {"prompt": "Hi", **body})

    assert (response.status_code, response.json()["code"]) == (400, "model_not_allowed")
    assert not vendor.requests
    assert not site.usage()


def test_allow_lists_of_tenant_and_credential_both_hold(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(allowed_models=["gpt-4o-*", "offline:*"])
    credential = site.keys.api_key.credential
    credential.allowed_models = ["offline-extractive"]
    credential.save()

    assert site.post("v1/chat", {"prompt": "Hi", "model": "gpt-4o-mini"}).status_code == 400
    assert site.post("v1/chat", {"prompt": "Hi", "model": "offline-extractive"}).status_code == 200
    listed = [entry["id"] for entry in site.get("v1/models").json()["data"]]
    assert listed == ["offline-extractive"]


def test_the_end_user_and_the_plugin_go_to_the_ledger(site: Site) -> None:
    site.post("v1/chat", {"prompt": "Hi", "metadata": {"plugin": "seo-pack", "end_user": "42"}}, headers=site.auth)
    [row] = site.usage()
    assert (row.plugin, row.end_user) == ("seo-pack", "42")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "   "}, "messages.0.content"),
        ({"prompt": 5}, "prompt"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "only"}]}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x", "tool_call_id": "1"}]}, "messages.0"),
        ({"messages": [HI, {"role": "tool", "content": "y", "tool_call_id": "z"}]}, "messages.1.tool_call_id"),
        ({"prompt": "x", "temperature": 9}, "temperature"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "surprise": 1}, "surprise"),
        ({"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, ""),
        ({"messages": [{"role": "user", "content": [HTTP_IMAGE]}]}, "messages.0.content"),
        ([1, 2], ""),
        ("text", ""),
    ],
)  # fmt: skip
def test_a_wrong_body_is_told_by_field_and_writes_nothing(
    site: Site, vendor: RunningVendor, body: Any, field: str
) -> None:
    response = site.post("v1/chat", json.dumps(body))

    assert response.status_code == 422, response.content
    problem = response.json()
    assert problem["code"] == "invalid"
    assert any(error["field"].startswith(field) for error in problem["errors"])
    assert not vendor.requests
    assert not UsageEvent.objects.exists()


def test_another_tenants_key_sees_only_its_own_usage(site: Site, db: None) -> None:
    other = Tenant.objects.create(slug="other")
    keys = issue_site_keys(other)
    site.client.post(
        f"{MOUNT}v1/chat",
        '{"prompt": "Hi"}',
        content_type="application/json",
        headers={"X-API-Key": keys.api_key.secret},
    )
    assert not site.usage()
    assert UsageEvent.objects.for_tenant(other).count() == 1
