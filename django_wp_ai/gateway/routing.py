"""From the name a caller gives to the providers and models that may answer, in the order in which they are asked."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

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


def candidates(principal: Principal, *, model: str, provider: str = "") -> tuple[Target, ...]:
    """The targets for a name, an alias, ``provider:model`` or nothing, first choice first; raises ModelNotAllowed."""
    tenant = principal.tenant
    wanted = model or ("" if provider else tenant.default_model or settings.default_model)
    found = _find(tenant, wanted, provider)
    if not found:
        raise ModelNotAllowed("The model is not known here; GET v1/models lists those that are.", param="model")
    permitted = tuple(target for target in found if _may_ask(principal, wanted, target))
    if not permitted:
        raise ModelNotAllowed("This site may not use that model.", param="model")
    return permitted


def embedding_target(tenant: Tenant, wanted: str) -> Target:
    """The one target whose vectors stand in an index; raises ModelNotAllowed for what can't make them for this site.

    Without ``wanted`` it is the first provider's that certainly embeds. An alias stands for its first target: vectors
    of two models can't be compared, so nothing takes turns here.
    """
    found = _first(tenant, wanted) if wanted else _first_that_embeds(tenant)
    if found is None:
        known = f"The model {wanted} is not known here" if wanted else "No configured provider makes embeddings"
        raise ModelNotAllowed(f"{known}; an embedding model is needed.", param="model")
    if not found.provider.may_embed(found.model):
        raise ModelNotAllowed(f"{found.name} makes no embeddings.", param="model")
    if not _is_open(tenant, wanted, found):
        raise ModelNotAllowed(f"This site may not use {found.name}, which would make its embeddings.", param="model")
    return found


def _first(tenant: Tenant, wanted: str) -> Target | None:
    for aliases in (tenant.model_aliases, settings.model_aliases):
        if wanted in aliases:
            return next(_alias_targets(aliases[wanted], draws=False), None)
    return next(iter(_find(tenant, wanted, "")), None)


def _first_that_embeds(tenant: Tenant) -> Target | None:
    named = ((provider, provider.default_embedding_model) for provider in providers().values())
    targets = (Target(provider, model) for provider, model in named if model)
    return next((target for target in targets if _is_open(tenant, "", target)), None)


def _may_ask(principal: Principal, asked: str, target: Target) -> bool:
    allowed = principal.models
    return _is_open(principal.tenant, asked, target) and (not allowed or matches(allowed, asked, target))


def _is_open(tenant: Tenant, asked: str, target: Target) -> bool:
    allowed = tenant.allowed_models
    return not matches(tenant.denied_models, asked, target) and (not allowed or matches(allowed, asked, target))


def matches(entries: Iterable[str], asked: str, target: Target) -> bool:
    """Whether a list names what was asked for, the model or ``provider:model``; globs count."""
    names = (asked, target.model, target.name)
    return any(fnmatchcase(name, entry) for entry in entries for name in names if name)


def _find(tenant: Tenant, wanted: str, provider: str) -> list[Target]:
    """Exact alias (the tenant's first), then ``provider:model``, then whoever serves it, then an alias by glob."""
    if not provider:
        for aliases in (tenant.model_aliases, settings.model_aliases):
            if found := list(_alias_targets(aliases.get(wanted))):
                return found
    prefix, colon, rest = wanted.partition(":")
    if colon and not provider and prefix in providers():
        provider, wanted = prefix, rest
    if provider in providers():
        target = _served_by(providers()[provider], wanted)
        return [target] if target else []
    if not provider:
        for candidate in providers().values():
            if target := _served_by(candidate, wanted):
                return [target]
    names = {wanted, rest, f"{provider}:{wanted}"} - {""}
    for aliases in (tenant.model_aliases, settings.model_aliases):
        for entry, alias in aliases.items():
            if any(fnmatchcase(name, entry) for name in names) and (found := list(_alias_targets(alias))):
                return found
    return []


def _served_by(provider: Provider, model: str) -> Target | None:
    model = model or provider.default_model
    return Target(provider, model) if model and provider.serves(model) else None


def _alias_targets(alias: Any, *, draws: bool = True) -> Iterator[Target]:
    """Targets of an alias that are served; neighbours with a weight take turns, the others keep their place.

    Without ``draws`` all keep it.
    """
    entries = [] if alias is None else alias if isinstance(alias, (list, tuple)) else [alias]
    for weighted, run in groupby(entries, key=lambda entry: isinstance(entry, Mapping) and "weight" in entry):
        for entry in _drawn(run) if weighted and draws else run:
            prefix, _, model = str(entry["target"] if isinstance(entry, Mapping) else entry).partition(":")
            if prefix in providers() and (target := _served_by(providers()[prefix], model)):
                yield target


def _drawn(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Drawn one after the other, each with a chance that grows with its weight.

    Source: Efraimidis and Spirakis, "Weighted random sampling with a reservoir" (2006).
    """
    return sorted(entries, key=lambda entry: -math.log(1.0 - random.random()) / float(entry["weight"]))  # noqa: S311 - a share of load, no secret


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A name that a tenant may ask for, and what its target can do."""

    id: str
    target: Target


def listed(principal: Principal) -> list[ListedModel]:
    """Every concrete model and alias that the caller may use."""
    found: dict[str, ListedModel] = {}
    for aliases in (principal.tenant.model_aliases, settings.model_aliases):
        for name, alias in aliases.items():
            if not any(mark in name for mark in "*?["):
                for target in _alias_targets(alias):
                    if _may_ask(principal, name, target):
                        found.setdefault(name, ListedModel(name, target))
    for provider in providers().values():
        for model in provider.listed_models():
            target = Target(provider, model)
            if _may_ask(principal, model, target):
                found.setdefault(model, ListedModel(model, target))
    return list(found.values())
