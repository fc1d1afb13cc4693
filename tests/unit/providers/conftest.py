"""Providers under test, each on the stand-in that speaks its vendor's wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from django_wp_ai.datatypes import ChatRequest, Delta, Message, TextPart
from django_wp_ai.providers.anthropic import AnthropicProvider
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.offline import CHAT_MODEL, OfflineProvider
from django_wp_ai.providers.openai import OpenAIProvider
from tests.vendor.running import RunningVendor
from tests.vendor.running import vendor as running_vendor

MODELS = {"openai": "gpt-4o-mini", "anthropic": "claude-sonnet-4-6", "offline": CHAT_MODEL}
HOSTED = ("openai", "anthropic")


def make(kind: str, vendor: RunningVendor, **options: Any) -> Provider:
    """A provider of that kind on the stand-in."""
    if kind == "offline":
        return OfflineProvider("offline", options)
    if kind == "openai":
        return OpenAIProvider("openai", {"api_key": "k", "base_url": vendor.openai_url, **options})
    return AnthropicProvider("anthropic", {"api_key": "k", "base_url": vendor.url, **options})


def ask(*messages: Message | str, **options: Any) -> ChatRequest:
    """A request; a plain string is a user message."""
    return ChatRequest(messages=tuple(say("user", m) if isinstance(m, str) else m for m in messages), **options)


def say(role: Any, text: str, **fields: Any) -> Message:
    """A message of text."""
    return Message(role, (TextPart(text),), **fields)


async def collect(provider: Provider, request: ChatRequest, model: str) -> list[Delta]:
    """All deltas of a stream."""
    return [delta async for delta in provider.stream(request, model=model)]


@pytest.fixture(scope="session")
def session_vendor() -> Iterator[RunningVendor]:
    with running_vendor() as running:
        yield running


@pytest.fixture
def vendor(session_vendor: RunningVendor) -> RunningVendor:
    session_vendor.clear()
    return session_vendor


@pytest_asyncio.fixture
async def build(vendor: RunningVendor) -> AsyncIterator[Callable[..., Provider]]:
    """Makes providers and closes their connections when the test ends."""
    made: list[Provider] = []

    def build(kind: str, **options: Any) -> Provider:
        made.append(make(kind, vendor, **options))
        return made[-1]

    yield build
    for provider in made:
        await provider.aclose()


@pytest.fixture(params=HOSTED)
def kind(request: pytest.FixtureRequest) -> str:
    """Each vendor."""
    return str(request.param)


@pytest.fixture
def model(kind: str) -> str:
    return MODELS[kind]


@pytest.fixture
def provider(kind: str, build: Callable[..., Provider]) -> Provider:
    """A provider of each vendor."""
    return build(kind)
