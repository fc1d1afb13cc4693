"""From the name a caller gives to the provider and model that will answer."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import ModelNotAllowed
from django_wp_ai.models import Tenant
from django_wp_ai.providers.base import Provider
from django_wp_ai.providers.registry import providers


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers, and under which of its own model names."""

    provider: Provider
    model: str

    @property
    def name(self) -> str:
        """``provider:model``."""
        return f"{self.provider.name}:{self.model}"


def resolve(principal: Principal, *, model: str, provider: str = "") -> Target:
    """The target for a name, an alias, ``provider:model`` or nothing; raises ModelNotAllowed."""
    wanted = model or ("" if provider else principal.tenant.default_model or settings.default_model)
    target = _find(wanted, provider)
    if target is None:
        raise ModelNotAllowed("The model is not known here; GET v1/models lists those that are.", param="model")
    for allowed in (principal.tenant.allowed_models, principal.models):
        if not is_allowed(allowed, wanted, target):
            raise ModelNotAllowed("This site may not use that model.", param="model")
    return target


def is_allowed(allowed: list[str] | tuple[str, ...], asked: str, target: Target) -> bool:
    """Whether an allow-list (empty: everything) has the asked name, the model or ``provider:model``; globs count."""
    names = (asked, target.model, target.name)
    return not allowed or any(fnmatchcase(name, entry) for entry in allowed for name in names if name)


def _find(wanted: str, provider: str) -> Target | None:
    """Exact alias, then ``provider:model``, then whoever serves it, then an alias by glob."""
    if not provider and (target := _alias_target(settings.model_aliases.get(wanted))):
        return target
    prefix, colon, rest = wanted.partition(":")
    if colon and not provider and prefix in providers():
        provider, wanted = prefix, rest
    if provider in providers():
        return _served_by(providers()[provider], wanted)
    if not provider:
        for candidate in providers().values():
            if target := _served_by(candidate, wanted):
                return target
    names = {wanted, rest, f"{provider}:{wanted}"} - {""}
    for entry, alias in settings.model_aliases.items():
        if any(fnmatchcase(name, entry) for name in names) and (target := _alias_target(alias)):
            return target
    return None


def _served_by(provider: Provider, model: str) -> Target | None:
    model = model or provider.default_model
    return Target(provider, model) if model and provider.serves(model) else None


def _alias_target(alias: str | None) -> Target | None:
    prefix, _, model = (alias or "").partition(":")
    return _served_by(providers()[prefix], model) if prefix in providers() else None


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A name that a tenant may ask for, and what its target can do."""

    id: str
    target: Target


def listed(tenant: Tenant, *, allowed: tuple[str, ...] = ()) -> list[ListedModel]:
    """Every concrete model and alias that this tenant (and credential) may use."""
    found = [
        ListedModel(model, Target(provider, model))
        for provider in providers().values()
        for model in provider.listed_models()
    ]
    for name, alias in settings.model_aliases.items():
        if not any(mark in name for mark in "*?[") and (target := _alias_target(alias)):
            found.insert(0, ListedModel(name, target))
    unique = {entry.id: entry for entry in reversed(found)}
    return [
        entry
        for entry in reversed(unique.values())
        if is_allowed(tenant.allowed_models, entry.id, entry.target) and is_allowed(allowed, entry.id, entry.target)
    ]
