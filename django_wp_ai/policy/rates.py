"""Rate limits of a call: all are taken together or none is, by every process and host against the same counts.

The shared cache keeps the windows. Where it is not Redis-compatible, or does not answer in 50 ms, the database does;
then the two count apart, so at a change-over, either way, up to one more quota may pass in a window. That is the
price of a site that goes on answering.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from django.db import DatabaseError, InterfaceError

from django_wp_ai.policy import rates_cache, rates_database
from django_wp_ai.policy.limits import Limit, LimitStatus, RateDecision
from django_wp_ai.shared_cache import CacheUnavailable
from django_wp_ai.together import Steps, blocking

logger = logging.getLogger("django_wp_ai.policy")

UNCOUNTED_RETRY_S = 1.0


def taking(tenant_key: str, limits: Sequence[Limit], *, now: float | None = None) -> Steps[RateDecision]:
    """Take the cost of every limit, or of none where one of them is used up.

    ``tenant_key`` says whose windows they are; they are apart by name, length and subject, a changed quota keeps its
    count. ``now`` (seconds since 1970) is for tests; else the store's own clock counts, the same for all hosts.
    """
    if len({(limit.name, limit.window_s) for limit in limits}) < len(limits):
        raise ValueError("A limit is named twice.")
    if not limits:
        return RateDecision(tenant_key, allowed=True)
    try:
        return (yield from rates_cache.taking(tenant_key, limits, now=now))
    except CacheUnavailable:
        try:
            return rates_database.take(tenant_key, limits, now=now)
        except (DatabaseError, InterfaceError):
            logger.exception("Rates can't be counted: neither the shared cache nor the database answers.")
            return _uncounted(tenant_key, limits)


take = blocking(taking)


def peek(tenant_key: str, limits: Sequence[Limit], *, now: float | None = None) -> RateDecision | None:
    """Where the limits stand; nothing is taken of them. None where neither store answers. Blocking."""
    free = [replace(limit, cost=0) for limit in limits]
    if not free:
        return RateDecision(tenant_key, allowed=True)
    try:
        return rates_cache.take(tenant_key, free, now=now)
    except CacheUnavailable:
        try:
            return rates_database.peek(tenant_key, free, now=now)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Rates can't be read: %s.", type(error).__name__)
            return None


def adjusting(decision: RateDecision, actual: Mapping[str, int], *, now: float | None = None) -> Steps[None]:
    """Correct what a passed call took, by the name of the limit: ``adjusting(decision, {"tpm": usage_tokens})``.

    A kind stands for all limits of it: ``tpm`` also corrects ``route-tpm``. Names that the decision has no limit of are
    passed over. What was not used comes back at once; what was used beyond the estimate counts from now. Call it once.
    """
    if negative := [name for name, amount in actual.items() if amount < 0]:
        raise ValueError(f"Nothing can be used less than not at all: {', '.join(negative)}.")
    if not decision.allowed or decision.store == "none":
        return
    changes = []
    for status in decision.statuses:
        limit = status.limit
        amount = actual.get(limit.name, actual.get(limit.kind))
        if amount is not None and amount != limit.cost:
            changes.append((status, amount - limit.cost))
    if changes:
        yield from _applying(decision, changes, now=now)


adjust = blocking(adjusting)


def give_back(decision: RateDecision, *, now: float | None = None) -> None:
    """Undo a passed ``take`` for a call that was refused after it, so that the refused call used nothing."""
    adjust(decision, {status.limit.name: 0 for status in decision.statuses}, now=now)


def _applying(decision: RateDecision, changes: Sequence[tuple[LimitStatus, int]], *, now: float | None) -> Steps[None]:
    """Change the store that took; a window that can't be reached stays as it was estimated until it slides on."""
    try:
        if decision.store == "cache":
            yield from rates_cache.adjusting(decision.key, changes, now=now)
        else:
            rates_database.adjust(decision.key, changes, now=now)
    except (CacheUnavailable, DatabaseError, InterfaceError) as error:
        logger.warning("A rate window keeps its estimate: %s.", type(error).__name__)


def _uncounted(key: str, limits: Sequence[Limit]) -> RateDecision:
    statuses = tuple(
        LimitStatus(
            limit=limit,
            remaining=0,
            reset_s=UNCOUNTED_RETRY_S,
            full_reset_s=limit.window_s,
            retry_after_s=UNCOUNTED_RETRY_S,
            refused=True,
            bucket=0,
        )
        for limit in limits
        if not limit.fails_open
    )
    return RateDecision(key, allowed=not statuses, statuses=statuses)
