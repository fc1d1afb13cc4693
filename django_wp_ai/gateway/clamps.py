"""A tenant's defaults and bounds for what a caller may set."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import ChatRequest
from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Tenant
from django_wp_ai.policy.budget import has_budget
from django_wp_ai.policy.limits import counts_tokens

if TYPE_CHECKING:
    from django_wp_ai.gateway.admission import Admitted
    from django_wp_ai.gateway.embeddings import AdmittedEmbedding


def apply(tenant: Tenant, request: ChatRequest, route: str) -> tuple[ChatRequest, dict[str, float]]:
    """The request within the tenant's bounds, and those of its parameters that had to be changed, as they are now.

    A call whose worst case is held against money or tokens gets an end, also where nobody asked for one.
    """
    changed: dict[str, float] = {}
    temperature = tenant.default_temperature if request.temperature is None else request.temperature
    if temperature is not None:
        bounded = min(max(temperature, tenant.temperature_min or 0.0), _or_infinite(tenant.temperature_max))
        if bounded != temperature:
            changed["temperature"] = temperature = bounded
    ceiling = min(_or_infinite(tenant.max_tokens_limit), _or_infinite(tenant.routes.get(route, {}).get("max_tokens")))
    max_tokens = request.max_tokens
    if max_tokens is None:
        max_tokens = tenant.default_max_tokens
        if max_tokens is None and (ceiling < _INFINITE or counts_tokens(tenant, route) or has_budget(tenant)):
            max_tokens = settings.default_max_tokens
        max_tokens = None if max_tokens is None else int(min(max_tokens, ceiling))
    elif max_tokens > ceiling:
        changed["max_tokens"] = max_tokens = int(ceiling)
    if temperature == request.temperature and max_tokens == request.max_tokens:
        return request, changed
    return replace(request, temperature=temperature, max_tokens=max_tokens), changed


def check_input(tenant: Tenant, admitted: Admitted | AdmittedEmbedding, route: str, *, name: str) -> None:
    """Raise Invalid for more input than the tenant gives the route."""
    ceiling = tenant.routes.get(route, {}).get("max_input_tokens")
    if ceiling is None:
        return
    tokens = admitted.estimated().input_tokens
    if tokens > ceiling:
        message = f"About {tokens} tokens; this site's {route} takes {ceiling}."
        raise Invalid(message, errors=[{"field": name, "message": message}], param=name)


_INFINITE = float("inf")


def _or_infinite(bound: float | None) -> float:
    return _INFINITE if bound is None else bound
