"""Rate limits as data: what is asked, and what the answer says.

A limit allows ``quota`` units in any ``window_s`` seconds. Its window slides: what was taken comes back ``window_s``
seconds later and never sooner, so no burst passes twice at an edge. What was taken within one of the window's
``BUCKETS`` parts comes back together, when the last of it is due.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import Tenant

BUCKETS = 120
REQUESTS, TOKENS = "requests", "tokens"
MINUTE_S, DAY_S = 60, 86_400

Store = Literal["cache", "database", "none"]
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit and what this call takes of it.

    When neither the cache nor the database answers, a limit with ``fails_open`` lets the call pass uncounted; one
    without refuses it.
    """

    name: str
    quota: int
    window_s: int
    cost: int = 1
    unit: str = REQUESTS
    fails_open: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} does not name a limit: lower-case letters, digits and dashes do.")
        if self.quota < 0 or self.cost < 0 or self.window_s < 1:
            raise ValueError(f"Limit {self.name}: quota and cost can't be negative, a window has a second at least.")

    @property
    def step_ms(self) -> int:
        """How long one bucket of the window is."""
        return max(1, self.window_s * 1000 // BUCKETS)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a store tells of one window; times are milliseconds from now, ``bucket`` is where the call was counted."""

    used: int
    next_free_ms: int
    all_free_ms: int
    retry_ms: int
    bucket: int


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """One limit after the call. ``reset_s``: until some of it comes back; ``full_reset_s``: until all of it is back."""

    limit: Limit
    remaining: int
    reset_s: float
    full_reset_s: float
    retry_after_s: float
    refused: bool
    bucket: int


@dataclass(frozen=True, slots=True)
class RateDecision:
    """Whether a call passed all its limits; if not, none of them was touched."""

    key: str
    allowed: bool
    statuses: tuple[LimitStatus, ...] = ()
    store: Store = "none"

    @property
    def retry_after_s(self) -> float:
        """When the refused call would pass, if nothing else is taken meanwhile; 0 for one that passed."""
        return max((status.retry_after_s for status in self.statuses), default=0.0)

    def raise_if_refused(self) -> None:
        """Raise RateLimited, naming the limits that were used up."""
        if self.allowed:
            return
        refused = [status.limit for status in self.statuses if status.refused]
        names = ", ".join(f"{limit.quota} {limit.unit} in {limit.window_s} s" for limit in refused)
        if any(limit.cost > limit.quota for limit in refused):
            detail = f"This call alone is more than the limit allows: {names}."
        elif refused and self.store != "none":
            detail = f"The limit is used up: {names}."
        else:
            detail = "The limits can't be counted at the moment."
        raise RateLimited(detail, retry_after_s=self.retry_after_s)


def tenant_key(tenant: Tenant) -> str:
    """Whose limits they are, for ``rates.take``."""
    return f"tenant:{tenant.pk}"


def tenant_limits(tenant: Tenant, *, tokens: int) -> list[Limit]:
    """The tenant's own limits for a call of an estimated number of tokens; all of them fail closed.

    They guard what an operator pays for, so a call that can't be counted does not pass. Parents have budgets over
    their children, not rates.
    """
    limits = []
    if tenant.rpm is not None:
        limits.append(Limit(name="rpm", quota=tenant.rpm, window_s=MINUTE_S))
    if tenant.rpd is not None:
        limits.append(Limit(name="rpd", quota=tenant.rpd, window_s=DAY_S))
    if tenant.tpm is not None:
        limits.append(Limit(name="tpm", quota=tenant.tpm, window_s=MINUTE_S, cost=tokens, unit=TOKENS))
    return limits


def decide(key: str, limits: Sequence[Limit], readings: Sequence[Reading], *, store: Store) -> RateDecision:
    """The decision that a store's readings mean: refused as soon as one limit has to wait."""
    statuses = tuple(_status(limit, reading) for limit, reading in zip(limits, readings, strict=True))
    return RateDecision(key, not any(status.refused for status in statuses), statuses, store)


def _status(limit: Limit, reading: Reading) -> LimitStatus:
    return LimitStatus(
        limit=limit,
        remaining=max(0, limit.quota - reading.used),
        reset_s=reading.next_free_ms / 1000,
        full_reset_s=reading.all_free_ms / 1000,
        retry_after_s=reading.retry_ms / 1000,
        refused=reading.retry_ms > 0,
        bucket=reading.bucket,
    )
