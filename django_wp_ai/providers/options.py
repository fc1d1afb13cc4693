"""Reads the options a host wrote for a provider; each function raises ImproperlyConfigured with a usable sentence."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured


def _wrong(provider: str, key: str, wanted: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"Provider {provider!r}: option {key!r} must be {wanted}.")


def text(provider: str, config: Mapping[str, Any], key: str, default: str = "") -> str:
    """A string; ``None`` counts as not given, so that ``os.environ.get`` can be written straight into settings."""
    value = config.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        raise _wrong(provider, key, "a string")
    return value.strip()


def webhook_secret(provider: str, config: Mapping[str, Any], key: str) -> str:
    """``whsec_`` and base64, as vendors hand it out; empty when not given."""
    value = text(provider, config, key)
    if value:
        try:
            usable = value.startswith("whsec_") and bool(base64.b64decode(value.removeprefix("whsec_"), validate=True))
        except ValueError:
            usable = False
        if not usable:
            raise _wrong(provider, key, "the vendor's 'whsec_…'")
    return value


def flag(provider: str, config: Mapping[str, Any], key: str, default: bool) -> bool:
    """True or False."""
    value = config.get(key, default)
    if not isinstance(value, bool):
        raise _wrong(provider, key, "True or False")
    return value


def choice(provider: str, config: Mapping[str, Any], key: str, allowed: tuple[str, ...], default: str) -> str:
    """One of ``allowed``."""
    value = text(provider, config, key, default)
    if value not in allowed:
        raise _wrong(provider, key, f"one of {', '.join(allowed)}")
    return value


def seconds(provider: str, config: Mapping[str, Any], key: str, default: float) -> float:
    """A positive duration."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise _wrong(provider, key, "a positive number of seconds")
    return float(value)


def count(provider: str, config: Mapping[str, Any], key: str, default: int) -> int:
    """A positive whole number."""
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(provider, key, "a positive whole number")
    return value


def url(provider: str, config: Mapping[str, Any], key: str, default: str = "") -> str:
    """An http(s) URL with a host."""
    value = text(provider, config, key, default)
    if not value:
        return default
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise _wrong(provider, key, "an http or https URL")
    return value


def names(provider: str, config: Mapping[str, Any], key: str, default: tuple[str, ...]) -> tuple[str, ...]:
    """A list of non-empty strings."""
    value = config.get(key, default)
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) and item for item in value):
        raise _wrong(provider, key, "a list of non-empty strings")
    return tuple(value)


def headers(provider: str, config: Mapping[str, Any], key: str) -> dict[str, str]:
    """HTTP header names and values."""
    value = config.get(key) or {}
    if not isinstance(value, Mapping) or not all(
        isinstance(item, str) and item.isascii() and "\n" not in item and "\r" not in item
        for pair in value.items()
        for item in pair
    ):
        raise _wrong(provider, key, "a dict of header names and values")
    return dict(value)
