"""What a call costs."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import genai_prices
import pytest
from django.core.exceptions import ImproperlyConfigured
from genai_prices import data_snapshot

from django_wp_ai.datatypes import UnitPrices, Usage
from django_wp_ai.providers.anthropic import AnthropicProvider
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.offline import CHAT_MODEL, EMBEDDING_MODEL, OfflineProvider
from django_wp_ai.providers.openai import OpenAIProvider
from django_wp_ai.providers.prices import check_settings, quote, unit_prices

AT = datetime(2026, 11, 1, 12, tzinfo=UTC)
OPENAI = OpenAIProvider("openai", {})
ANTHROPIC = AnthropicProvider("anthropic", {})
OFFLINE = OfflineProvider("offline", {})
USAGE = Usage(input_tokens=1_000, output_tokens=500, cached_input_tokens=200, cache_write_tokens=100)


def cost(model: str, usage: Usage = USAGE, provider: Provider = OPENAI, at: datetime = AT) -> Decimal | None:
    found = quote(provider=provider, model=model, usage=usage, at=at)
    return None if found is None else found.cost_usd


@pytest.fixture
def prices(settings: Any) -> Any:
    """Sets the host's prices."""

    def write(table: dict[Any, Any]) -> None:
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PRICES": table}

    return write


def test_a_known_model_costs_what_its_vendor_publishes() -> None:
    found = quote(provider=OPENAI, model="gpt-4o-mini", usage=USAGE, at=AT)
    assert found is not None
    assert found.prices == UnitPrices(Decimal("0.15"), Decimal("0.6"), Decimal("0.075"), None)
    # 700 fresh + 100 written (no price of its own: as fresh) at 0.15, 200 cached at 0.075, 500 out at 0.60
    assert found.cost_usd == Decimal("0.000435000")
    assert found.cost_usd.as_tuple().exponent == -9


@pytest.mark.parametrize(
    ("provider", "snapshot_provider"), [(OPENAI, "openai"), (ANTHROPIC, "anthropic")], ids=["openai", "anthropic"]
)
@pytest.mark.parametrize("input_tokens", [1_000, 150_000, 300_000])
def test_every_text_model_costs_what_genai_prices_computes(
    provider: Provider, snapshot_provider: str, input_tokens: int
) -> None:
    table = next(entry for entry in data_snapshot.get_snapshot().providers if entry.id == snapshot_provider)
    usage = Usage(input_tokens, 500, cached_input_tokens=200, cache_write_tokens=100)
    theirs = genai_prices.Usage(
        input_tokens=input_tokens, output_tokens=500, cache_read_tokens=200, cache_write_tokens=100
    )
    compared = 0
    for model in table.models:
        found = cost(model.id, usage, provider)
        if found is not None and table.find_model(model.id) is model and "embed" not in model.id:
            expected = genai_prices.calc_price(
                theirs, model.id, provider_id=snapshot_provider, genai_request_timestamp=AT
            ).total_price
            assert found == expected.quantize(Decimal("1e-9")), model.id
            compared += 1
    assert compared > 15


def test_a_larger_request_costs_the_price_of_its_size() -> None:
    table = data_snapshot.get_snapshot()
    model = next(
        model
        for entry in table.providers
        if entry.id == "openai"
        for model in entry.models
        if hasattr(getattr(model.get_prices(AT), "input_mtok", None), "tiers")
    )
    start = model.get_prices(AT).input_mtok.tiers[0].start  # type: ignore[union-attr]  # chosen for having tiers
    small = unit_prices(provider=OPENAI, model=model.id, at=AT, input_tokens=start)
    large = unit_prices(provider=OPENAI, model=model.id, at=AT, input_tokens=start + 1)
    assert small is not None
    assert large is not None
    assert large.input > small.input


def test_prices_are_those_of_the_calls_time() -> None:
    table = data_snapshot.get_snapshot()
    model = next(
        model
        for entry in table.providers
        if entry.id == "openai"
        for model in entry.models
        if isinstance(model.prices, list) and entry.find_model(model.id) is model
    )
    assert isinstance(model.prices, list)
    early = unit_prices(provider=OPENAI, model=model.id, at=datetime(2020, 1, 1, tzinfo=UTC))
    assert early != unit_prices(provider=OPENAI, model=model.id, at=AT)


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini-2024-07-18", "gpt-4o-2024-11-20", "gpt-4.1-2025-04-14", "GPT-4o-Mini"],
)
def test_a_dated_release_costs_what_its_model_costs(model: str) -> None:
    assert cost(model) is not None


@pytest.mark.parametrize(
    "model",
    ["gpt-4o-mini-cheaper-2030", "gpt-99", "gpt-4o-something-new", "gpt-4o-mini-2024-07-18-ours", "llama3", "", "gpt"],
)
def test_a_model_that_only_begins_like_a_known_one_has_no_price(model: str) -> None:
    assert cost(model) is None
    assert unit_prices(provider=OPENAI, model=model, at=AT) is None


@pytest.mark.parametrize("model", ["claude-sonnet-4-5-20250929", "claude-haiku-4-5", "claude-sonnet-4-6"])
def test_claude_models_have_prices_for_cache_reads_and_writes(model: str) -> None:
    found = unit_prices(provider=ANTHROPIC, model=model, at=AT)
    assert found is not None
    assert found.cached_input is not None
    assert found.cache_write is not None
    assert found.cached_input < found.input < found.cache_write


def test_an_embedding_costs_its_input() -> None:
    assert cost("text-embedding-3-small", Usage(input_tokens=1_000_000)) == Decimal("0.02")


def test_a_provider_without_a_price_table_has_no_prices() -> None:
    assert cost("gpt-4o", provider=OpenAIProvider("local", {"price_provider": ""})) is None
    assert cost("gpt-4o", provider=OpenAIProvider("local", {"price_provider": "no-such-table"})) is None


@pytest.mark.parametrize("model", [CHAT_MODEL, EMBEDDING_MODEL])
def test_the_offline_provider_costs_nothing_and_says_so(model: str) -> None:
    found = quote(provider=OFFLINE, model=model, usage=USAGE, at=AT)
    assert found is not None
    assert found.cost_usd == 0
    assert found.prices.output == 0


def test_the_hosts_price_comes_first_by_name_then_by_glob(prices: Any) -> None:
    prices(
        {
            "openai:gpt-4o*": {"input": 3, "output": Decimal(6)},
            "openai:gpt-4o-mini": {"input": "1", "output": "2", "cached_input": "0.5", "cache_write": None},
            "offline:*": {"input": "1000", "output": "1000"},
        }
    )
    assert cost("gpt-4o-mini") == Decimal("0.0019")
    assert cost("gpt-4o") == Decimal("0.006")
    assert cost(CHAT_MODEL, provider=OFFLINE) == Decimal("1.5")
    assert cost("gpt-4.1") != Decimal("0.006")
    prices({})
    assert cost("gpt-4o-mini") == Decimal("0.000435")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("gpt-4o", {"input": "1", "output": "1"}),
        (5, {"input": "1", "output": "1"}),
        ("openai:x", "1"),
        ("openai:x", {"input": "1"}),
        ("openai:x", {"input": "1", "output": "1", "inptu": "1"}),
        ("openai:x", {"input": None, "output": "1"}),
        ("openai:x", {"input": "1", "output": 0.1}),
        ("openai:x", {"input": "1", "output": True}),
        ("openai:x", {"input": "1", "output": "a lot"}),
        ("openai:x", {"input": "-1", "output": "1"}),
        ("openai:x", {"input": "NaN", "output": "1"}),
        ("openai:x", {"input": "Infinity", "output": "1"}),
    ],
)
def test_a_malformed_price_fails_with_its_place_in_settings(prices: Any, key: Any, value: Any) -> None:
    prices({key: value})
    with pytest.raises(ImproperlyConfigured, match="PRICES"):
        check_settings()


def test_well_formed_prices_pass_the_check(prices: Any) -> None:
    prices({"openai:*": {"input": "0", "output": "0"}})
    check_settings()


def test_a_usage_that_contradicts_itself_never_costs_less_than_nothing() -> None:
    odd = Usage(input_tokens=10, output_tokens=0, cached_input_tokens=100)
    found = cost("gpt-4o-mini", odd)
    assert found is not None
    assert found > 0


def test_a_name_that_the_table_lists_for_a_model_costs_what_that_model_costs() -> None:
    assert cost("gpt-4-1106-preview") == cost("gpt-4-turbo")
    assert cost("gpt-4-1106-preview") is not None
