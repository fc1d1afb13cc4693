"""What a call costs: settings first, then genai-prices as installed (it never fetches), else unknown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from genai_prices import data_snapshot
from genai_prices.types import ClauseEquals, ClauseOr, ModelInfo, ModelPrice, TieredPrices

from django_wp_ai.conf import SETTING, settings
from django_wp_ai.datatypes import Quote, UnitPrices, Usage
from django_wp_ai.providers.base import Provider

PER = Decimal(1_000_000)
CENTS = Decimal("1e-9")  # cost is kept to a billionth of a dollar
FREE = UnitPrices(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
FIELDS = ("input", "output", "cached_input", "cache_write")
_RELEASE = re.compile(r"[-@](?:\d{4}-\d\d-\d\d|\d{8}|latest)$")


def quote(*, provider: Provider, model: str, usage: Usage, at: datetime) -> Quote | None:
    """The cost of ``usage`` on ``model`` at that time; None when no price is known."""
    prices = unit_prices(provider=provider, model=model, at=at, input_tokens=usage.input_tokens)
    if prices is None:
        return None
    fresh = max(0, usage.input_tokens - usage.cached_input_tokens - usage.cache_write_tokens)
    cost = (
        fresh * prices.input
        + usage.cached_input_tokens * (prices.input if prices.cached_input is None else prices.cached_input)
        + usage.cache_write_tokens * (prices.input if prices.cache_write is None else prices.cache_write)
        + usage.output_tokens * prices.output
    )
    return Quote((cost / PER).quantize(CENTS), prices)


def unit_prices(*, provider: Provider, model: str, at: datetime, input_tokens: int = 0) -> UnitPrices | None:
    """Prices per million tokens for a request of ``input_tokens`` (some models cost more from a size on)."""
    own = _from_settings(provider.name, model)
    if own is not None:
        return own
    if provider.free:
        return FREE
    if not provider.price_provider:
        return None
    info = _known_model(provider.price_provider, model, id(data_snapshot.get_snapshot()))
    if info is None:
        return None
    return _from_table(info.get_prices(at), input_tokens, only_input="embed" in info.id)


@lru_cache(maxsize=4096)
def _from_settings(provider: str, model: str) -> UnitPrices | None:
    """The host's price: under the exact name, else under the first glob that fits."""
    name = f"{provider}:{model}"
    table: Mapping[str, Any] = settings.prices
    if name in table:
        return read_prices(name, table[name])
    return next((read_prices(key, value) for key, value in table.items() if fnmatchcase(name, key)), None)


def check_settings() -> None:
    """Read every price of the settings; raises ImproperlyConfigured for the first that is malformed."""
    for key, value in settings.prices.items():
        read_prices(key, value)


def read_prices(key: Any, value: Any) -> UnitPrices:
    """One entry of ``DJANGO_WP_AI["PRICES"]``; raises ImproperlyConfigured."""
    where = f"{SETTING}['PRICES'][{key!r}]"
    if not isinstance(key, str) or ":" not in key:
        raise ImproperlyConfigured(f"{where}: the key must be 'provider:model'; either may be a glob.")
    if not isinstance(value, Mapping) or not {"input", "output"} <= set(value) <= set(FIELDS):
        raise ImproperlyConfigured(
            f"{where} must have 'input' and 'output', and may have 'cached_input', 'cache_write'."
        )
    found = {field: _price(where, field, value.get(field)) for field in FIELDS}
    if found["input"] is None or found["output"] is None:
        raise ImproperlyConfigured(f"{where}: 'input' and 'output' must not be None.")
    return UnitPrices(found["input"], found["output"], found["cached_input"], found["cache_write"])


def _price(where: str, field: str, value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        # A float is refused: 0.1 is not a tenth in one.
        price = Decimal(value) if isinstance(value, (str, int, Decimal)) and not isinstance(value, bool) else None
    except InvalidOperation:
        price = None
    if price is None or not price.is_finite() or price < 0:
        raise ImproperlyConfigured(f"{where}[{field!r}] must be USD per million tokens, written as a string: '0.15'.")
    return price


@lru_cache(maxsize=4096)
def _known_model(price_provider: str, model: str, snapshot_id: int) -> ModelInfo | None:  # noqa: ARG001 - cache key
    """The entry for exactly this model: its id, a dated release of it, or a name that the table lists.

    The table's own rules also match by beginning, which gives "gpt-4o-something-new" the price of another model.
    ``snapshot_id`` is there for the cache alone: a host may replace the table.
    """
    try:
        _, info = data_snapshot.get_snapshot().find_provider_model(model, None, price_provider, None)
    except LookupError:
        return None
    name = model.lower()
    return info if _undated(info.id.lower()) == _undated(name) or _lists(info.match, name) else None


def _undated(name: str) -> str:
    return _RELEASE.sub("", name)


def _lists(rule: Any, name: str) -> bool:
    """Whether a matching rule names ``name`` in full."""
    if isinstance(rule, ClauseEquals):
        return rule.equals.lower() == name
    return isinstance(rule, ClauseOr) and any(_lists(part, name) for part in rule.or_)


def _from_table(prices: ModelPrice, input_tokens: int, *, only_input: bool) -> UnitPrices | None:
    found = [_at_size(getattr(prices, key, None), input_tokens) for key in _TABLE_KEYS]
    output = Decimal(0) if only_input else found[1]
    return None if found[0] is None or output is None else UnitPrices(found[0], output, found[2], found[3])


_TABLE_KEYS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def _at_size(price: Decimal | TieredPrices | None, input_tokens: int) -> Decimal | None:
    """The price in force; crossing a threshold changes it for all tokens of the request."""
    if not isinstance(price, TieredPrices):
        return price
    return next((tier.price for tier in reversed(price.tiers) if input_tokens > tier.start), price.base)


def _reset_on_change(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        _from_settings.cache_clear()


setting_changed.connect(_reset_on_change, dispatch_uid="django_wp_ai.prices")
