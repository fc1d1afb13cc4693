"""The rates of a search. One that has its question embedded takes them with that call; one by words, and a look for
what is related, take them here.
"""

from __future__ import annotations

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.policy import limits, rate_fields, rates
from django_wp_ai.policy.limits import Limit, RateDecision


def take(principal: Principal, origin: Origin) -> None:
    """Count a request that uses no tokens; raises RateLimited. Blocking."""
    decision = rates.take(limits.tenant_key(principal.tenant), _limits(principal, origin))
    try:
        decision.raise_if_refused()
    except RateLimited as refused:
        refused.fields.update(rate_fields.ratelimit_fields(decision))
        raise


async def standing(principal: Principal, origin: Origin) -> RateDecision:
    """Where the limits of such a call stand, for the fields of a reply; empty where nobody can tell."""
    key = limits.tenant_key(principal.tenant)
    return await in_thread(rates.peek, key, _limits(principal, origin)) or RateDecision(key, allowed=True)


def _limits(principal: Principal, origin: Origin) -> list[Limit]:
    return limits.call_limits(principal, route=origin.route, tokens=0)
