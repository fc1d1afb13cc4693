"""What a host may write in ``PROVIDERS``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from django_wp_ai.exceptions import ProviderUnavailable
from django_wp_ai.providers import registry
from django_wp_ai.providers.anthropic import AnthropicProvider
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.offline import OfflineProvider
from django_wp_ai.providers.openai import OpenAIProvider
from tests.unit.providers.conftest import MODELS, ask, collect
from tests.vendor.running import RunningVendor


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"api_key": 5}, "'api_key' must be a string"),
        ({"needs_key": "no"}, "True or False"),
        ({"base_url": "example.org"}, "http or https URL"),
        ({"base_url": "http://[::1"}, "http or https URL"),
        ({"base_url": "http://host:99999"}, "http or https URL"),
        ({"timeout_s": 0}, "positive number of seconds"),
        ({"timeout_s": True}, "positive number of seconds"),
        ({"timeout_s": float("inf")}, "positive number of seconds"),
        ({"connect_timeout_s": "5"}, "positive number of seconds"),
        ({"max_connections": 0}, "positive whole number"),
        ({"max_connections": 1.5}, "positive whole number"),
        ({"default_headers": ["x"]}, "header names"),
        ({"default_headers": {"x": "a\r\nb: c"}}, "header names"),
        ({"models": "gpt-4o"}, "list of non-empty strings"),
        ({"models": [""]}, "list of non-empty strings"),
        ({"default_model": "nobody-made-this"}, "default_model"),
        ({"max_tokens_field": "tokens"}, "one of max_completion_tokens, max_tokens"),
        ({"azure_endpoint": "https://x.example.org"}, "api_version"),
        ({"azure_deployment": "d"}, "azure_endpoint"),
        (
            {"azure_endpoint": "https://x.example.org", "api_version": "1", "base_url": "https://y.example.org"},
            "exclude each other",
        ),
        ({"colour": "red"}, "unknown option"),
    ],
)
def test_an_option_that_makes_no_sense_fails_with_a_clear_sentence(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as caught:
        OpenAIProvider("openai", options)
    assert "'openai'" in str(caught.value)


async def test_a_missing_key_is_reported_and_fails_only_when_called(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "from-the-environment")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "from-the-environment")
    provider = registry.build(kind, {"api_key": None})
    assert provider.missing_key
    with pytest.raises(ProviderUnavailable, match="No API key"):
        await provider.chat(ask("hi"), model=MODELS[kind])
    with pytest.raises(ProviderUnavailable, match="No API key"):
        await collect(provider, ask("hi"), MODELS[kind])
    await provider.aclose()


async def test_a_server_without_keys_is_called_without_one(build: Callable[..., Provider]) -> None:
    provider = build("openai", api_key="", needs_key=False)
    assert not provider.missing_key
    assert (await provider.chat(ask("hi"), model="gpt-4o")).choices[0].text


async def test_the_environment_changes_nothing_that_settings_decide(
    kind: str, model: str, build: Callable[..., Provider], vendor: RunningVendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_BASE_URL", "OPENAI_ADMIN_KEY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/environment")
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/environment")
    await build(kind, api_key="from-settings").chat(ask("hi"), model=model)
    assert "environment" not in str(vendor.last.headers)
    assert "from-settings" in str(vendor.last.headers)


async def test_a_key_is_never_in_a_providers_repr(kind: str, build: Callable[..., Provider]) -> None:
    assert "sk-very-secret" not in repr(build(kind, api_key="sk-very-secret"))


async def test_organization_project_and_headers_are_sent(build: Callable[..., Provider], vendor: RunningVendor) -> None:
    provider = build("openai", organization="org-1", project="proj-1", default_headers={"X-Team": "blue"})
    await provider.chat(ask("hi"), model="gpt-4o")
    headers = vendor.last.headers
    assert (headers["openai-organization"], headers["openai-project"], headers["x-team"]) == ("org-1", "proj-1", "blue")


@pytest.mark.parametrize(
    ("deployment", "path"),
    [("", "/openai/deployments/gpt-5-mini/chat/completions"), ("mine", "/openai/deployments/mine/chat/completions")],
)
async def test_azure_is_called_at_its_deployment_with_its_key_header(
    vendor: RunningVendor, deployment: str, path: str
) -> None:
    provider = OpenAIProvider(
        "azure",
        {
            "api_key": "azure-key",
            "azure_endpoint": vendor.url,
            "api_version": "2026-01-01",
            "azure_deployment": deployment,
        },
    )
    await provider.chat(ask("hi", max_tokens=5), model="gpt-5-mini")
    await provider.aclose()
    assert vendor.last.path == path
    assert vendor.last.query == "api-version=2026-01-01"
    assert vendor.last.headers["api-key"] == "azure-key"
    assert vendor.last.body["max_completion_tokens"] == 5


async def test_the_limit_has_the_name_that_the_server_knows(
    build: Callable[..., Provider], vendor: RunningVendor
) -> None:
    await build("openai").chat(ask("hi", max_tokens=5), model="gpt-4o")
    assert vendor.last.body["max_tokens"] == 5
    await build("openai", max_tokens_field="max_completion_tokens").chat(ask("hi", max_tokens=5), model="gpt-5-mini")
    assert vendor.last.body["max_completion_tokens"] == 5
    assert OpenAIProvider("openai", {}).max_tokens_field == "max_completion_tokens"


async def test_connections_are_opened_again_after_closing(build: Callable[..., Provider]) -> None:
    provider = build("openai")
    await provider.chat(ask("hi"), model="gpt-4o")
    await provider.aclose()
    await provider.aclose()
    assert (await provider.chat(ask("hi"), model="gpt-4o")).choices[0].text


def test_the_registry_builds_what_settings_name(settings: Any) -> None:
    settings.DJANGO_WP_AI = {
        "PROVIDERS": {
            "main": {"class": "openai", "api_key": "k", "models": ["gpt-4o", "gpt-5*"]},
            "anthropic": {"api_key": "k"},
            "offline": {},
        }
    }
    found = registry.providers()
    assert [type(provider) for provider in found.values()] == [OpenAIProvider, AnthropicProvider, OfflineProvider]
    assert found["main"].listed_models() == ["gpt-4o"]
    assert found["main"].serves("gpt-5-nano")
    assert not found["main"].serves("gpt-4")
    assert registry.providers() is found


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("mine", {}, "needs a 'class'"),
        ("mine", {"class": 5}, "needs a 'class'"),
        ("mine", {"class": "no.such.module.Provider"}, "No module"),
        ("mine", {"class": "django_wp_ai.conf.Settings"}, "is not a Provider"),
        ("mine", {"class": ".relative"}, "mine"),
        ("openai", None, "must be a dict"),
        ("offline", {"models": ["gpt-4o"]}, "has no model gpt-4o"),
        ("offline", {"api_key": "k"}, "unknown option"),
    ],
)
def test_a_provider_that_cannot_be_built_fails_with_a_clear_sentence(name: str, config: Any, words: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=words):
        registry.build(name, config)
