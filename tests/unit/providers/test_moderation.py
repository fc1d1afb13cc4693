"""A vendor's moderation through the seam."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from django_wp_ai.exceptions import ProviderError, ProviderUnavailable
from django_wp_ai.providers.base import Moderation, Provider
from tests.unit.providers.conftest import make
from tests.vendor.running import RunningVendor


async def test_each_text_is_judged_in_its_place(build: Callable[..., Provider], vendor: RunningVendor) -> None:
    texts = ["How do I bake bread?", "I'll hurt you [[flag=violence,harassment]]", "Thanks"]
    found = await build("openai").moderate(texts)
    assert found == [Moderation(False), Moderation(True, ("harassment", "violence")), Moderation(False)]
    assert vendor.last.body == {"model": "omni-moderation-latest", "input": texts}


async def test_another_model_may_judge(build: Callable[..., Provider], vendor: RunningVendor) -> None:
    await build("openai", moderation_model="text-moderation-latest").moderate(["hi"])
    assert vendor.last.body["model"] == "text-moderation-latest"


@pytest.mark.parametrize("kind", ["anthropic", "offline", "openai"])
async def test_a_provider_without_moderation_says_so(kind: str, vendor: RunningVendor) -> None:
    provider = make(kind, vendor, **({"moderation_model": ""} if kind == "openai" else {}))
    assert not provider.supports_moderation
    assert provider.capabilities()["moderation"] is False
    with pytest.raises(NotImplementedError):
        await provider.moderate(["hi"])


def test_azure_has_no_moderation(vendor: RunningVendor) -> None:
    azure = make("openai", vendor, azure_endpoint=vendor.url, api_version="1", base_url=None)
    assert not azure.supports_moderation


async def test_a_moderation_that_fails_is_a_providers_failure(build: Callable[..., Provider]) -> None:
    with pytest.raises(ProviderUnavailable):
        await build("openai").moderate(["[[status=503]]"])
    for wish in ("garbage", "garbage=shape"):
        with pytest.raises(ProviderError):
            await build("openai").moderate([f"[[{wish}]]"])


async def test_calls_at_once_are_bounded_by_the_connections_unless_said_otherwise(vendor: RunningVendor) -> None:
    assert make("openai", vendor, max_connections=7).max_concurrency == 7
    assert make("openai", vendor, max_connections=7, max_concurrency=3).max_concurrency == 3
    assert make("offline", vendor, max_concurrency=2).max_concurrency == 2
