"""Configured providers by name, made once per process and again after settings change."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from django_wp_ai.conf import SETTING, settings
from django_wp_ai.providers.base import Provider

BUILT_IN = MappingProxyType(
    {
        "openai": "django_wp_ai.providers.openai.OpenAIProvider",
        "anthropic": "django_wp_ai.providers.anthropic.AnthropicProvider",
        "offline": "django_wp_ai.providers.offline.OfflineProvider",
    }
)

_providers: dict[str, Provider] | None = None


def build(name: str, config: Mapping[str, Any]) -> Provider:
    """Make one provider; ``class`` is a dotted path or a built-in name and defaults to the provider's own name."""
    if not isinstance(config, Mapping):
        raise ImproperlyConfigured(f"Provider {name!r} must be a dict of options.")
    kind = config.get("class", name)
    path = BUILT_IN.get(kind, kind)
    if not isinstance(path, str) or "." not in path:
        raise ImproperlyConfigured(f"Provider {name!r} needs a 'class': one of {', '.join(BUILT_IN)} or a dotted path.")
    try:
        provider_class = import_string(path)
    except (ImportError, ValueError) as error:
        raise ImproperlyConfigured(f"Provider {name!r}: {error}") from error
    if not (isinstance(provider_class, type) and issubclass(provider_class, Provider)):
        raise ImproperlyConfigured(f"Provider {name!r}: {path} is not a Provider.")
    return provider_class(name, config)


def providers() -> Mapping[str, Provider]:
    """All configured providers, in the order of the settings."""
    global _providers
    if _providers is None:
        _providers = {name: build(name, config) for name, config in settings.providers.items()}
    return _providers


async def aclose() -> None:
    """Release every provider's connections on the running loop."""
    for provider in (_providers or {}).values():
        await provider.aclose()


def _forget() -> None:
    global _providers
    _providers = None


def _reset_on_change(*, setting: str, **_: Any) -> None:
    if setting == SETTING:
        _forget()


setting_changed.connect(_reset_on_change, dispatch_uid="django_wp_ai.providers")
if hasattr(os, "register_at_fork"):  # a provider's connections are its process's
    os.register_at_fork(after_in_child=_forget)
