"""Requests go where the vendor's SDK would send them, with its headers, and with nothing of another call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from django_wp_ai.exceptions import ProviderError
from django_wp_ai.providers import hosted
from django_wp_ai.providers.base import Provider
from tests.unit.providers.conftest import MODELS, ask, collect, make
from tests.vendor.running import RunningVendor


@pytest.mark.parametrize("stream", [False, True])
async def test_the_sdks_own_headers_are_sent(
    kind: str, provider: Provider, model: str, vendor: RunningVendor, stream: bool
) -> None:
    for text in ("one", "two two"):
        await (collect(provider, ask(text), model) if stream else provider.chat(ask(text), model=model))
    first, second = (request.headers for request in vendor.requests)
    assert first["user-agent"].lower().startswith(f"async{kind}/python")
    assert first["content-type"] == "application/json"
    assert first["x-stainless-lang"] == "python"
    assert first["authorization"] == "Bearer k"
    assert {**first, "content-length": ""} == {**second, "content-length": ""}


async def test_what_the_host_configured_is_sent_along(build: Callable[..., Provider], vendor: RunningVendor) -> None:
    provider = build("openai", organization="org-1", project="p-1", default_headers={"X-Team": "blue"})
    await provider.chat(ask("hi"), model=MODELS["openai"])
    sent = vendor.last.headers
    assert (sent["openai-organization"], sent["openai-project"], sent["x-team"]) == ("org-1", "p-1", "blue")


async def test_azures_deployments_each_have_their_address(vendor: RunningVendor, monkeypatch: Any) -> None:
    monkeypatch.setattr(hosted, "PREPARED_KEPT", 2)
    options = {"azure_endpoint": vendor.url, "api_version": "2025-01-01", "base_url": None, "models": ["*"]}
    provider = make("openai", vendor, **options)
    names = ["gpt-4o", "other", "third", "gpt-4o"]
    for name in names:
        await provider.chat(ask("hi"), model=name)
    await provider.aclose()
    assert [request.path for request in vendor.requests] == [
        f"/openai/deployments/{name}/chat/completions" for name in names
    ]
    assert {request.query for request in vendor.requests} == {"api-version=2025-01-01"}
    assert {request.headers["api-key"] for request in vendor.requests} == {"k"}


async def test_a_password_in_the_address_is_sent_as_a_header_only(vendor: RunningVendor) -> None:
    provider = make("openai", vendor, base_url=vendor.url.replace("http://", "http://user:secret@") + "/v1")
    with pytest.raises(ProviderError):  # the stand-in knows no passwords
        await provider.chat(ask("hi"), model=MODELS["openai"])
    await provider.aclose()
    assert vendor.last.path == "/v1/chat/completions"
    assert vendor.last.headers["authorization"] == "Basic dXNlcjpzZWNyZXQ="
    assert "secret" not in vendor.last.headers["host"]
