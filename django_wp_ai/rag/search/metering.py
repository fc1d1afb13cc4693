"""The rates of a search. One that has its question embedded takes them with that call; one by words, and a look for
what is related, take them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django_wp_ai.bridge import in_thread
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.gateway.origin import Origin
from django_wp_ai.policy import limits, rate_fields, rates
from django_wp_ai.policy.limits import Limit, LimitStatus, RateDecision


def take(principal: Principal, origin: Origin) -> None:
    """Count a request that uses no tokens; raises RateLimited. Blocking."""
    _raise_if_refused(rates.take(limits.tenant_key(principal.tenant), _limits(principal, origin)))


def require_room(principal: Principal, origins: Sequence[Origin], *, end_user: str = "") -> None:
    """Raise RateLimited where not all of these calls would pass now, so that none is paid for in vain. Blocking.

    Nothing is taken: others may yet be quicker.
    """
    key = limits.tenant_key(principal.tenant)
    for origin in origins:
        asked = limits.call_limits(principal, route=origin.route, tokens=0, end_user=end_user)
        found = rates.peek(key, asked)
        if found is not None:  # the call itself is refused, if its limits can't be counted
            statuses = tuple(_after(status, len(origins)) for status in found.statuses)
            allowed = not any(status.refused for status in statuses)
            _raise_if_refused(replace(found, allowed=allowed, statuses=statuses))


def _after(status: LimitStatus, calls: int) -> LimitStatus:
    """Where it would stand: they all take of a limit that counts requests, and something of one that counts tokens."""
    limit = status.limit
    is_shared = limit.unit == limits.REQUESTS and not limit.name.startswith("route-")
    cost = calls if is_shared else 1
    if status.remaining >= cost:
        return status
    wait_s = status.reset_s or float(limit.window_s)  # one that is always too small has nothing to come back
    return replace(status, limit=replace(limit, cost=cost), refused=True, retry_after_s=wait_s)


def _raise_if_refused(decision: RateDecision) -> None:
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
