"""Rate limits as data: what is asked, and what the answer says.

A limit allows ``quota`` units in any ``window_s`` seconds. Its window slides: what was taken comes back ``window_s``
seconds later and never sooner, so no burst passes twice at an edge. What was taken within one of the window's
``BUCKETS`` parts comes back together, when the last of it is due.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from django.utils.crypto import salted_hmac

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import Tenant
from django_wp_ai.policy.addresses import network_of

BUCKETS = 120
REQUESTS, TOKENS = "requests", "tokens"
MINUTE_S, DAY_S = 60, 86_400
KINDS = {"rpm": (MINUTE_S, REQUESTS), "rpd": (DAY_S, REQUESTS), "tpm": (MINUTE_S, TOKENS)}
SCOPES = {
    "user": " for one end user",
    "ip": " for one address",
    "route": " on this route",
    "job": " for jobs",
    "user-job": " for jobs of one end user",
}
STREAM_TOKEN = "stream_token"  # noqa: S105 - a name that Principal.method may have
JOB = "job"  # the method of a job's own calls: it was counted as a job when it was created, and has no address
JOBS_ROUTE = "jobs"

Store = Literal["cache", "database", "none"]
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """One limit and what this call takes of it.

    ``subject`` is whose it is within the tenant, as ``subject_of`` writes it: an end user, an address or a route;
    empty for the tenant itself. When neither the cache nor the database answers, a limit with ``fails_open`` lets the
    call pass uncounted; one without refuses it.
    """

    name: str
    quota: int
    window_s: int
    cost: int = 1
    unit: str = REQUESTS
    subject: str = ""
    fails_open: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name!r} does not name a limit: lower-case letters, digits and dashes do.")
        if self.quota < 0 or self.cost < 0 or self.window_s < 1:
            raise ValueError(f"Limit {self.name}: quota and cost can't be negative, a window has a second at least.")

    @property
    def kind(self) -> str:
        """The last part of its name: ``tpm`` of ``route-tpm``."""
        return self.name.rpartition("-")[2]

    @property
    def window(self) -> str:
        """What tells its window from the others under one key."""
        return ":".join(filter(None, (self.name, str(self.window_s), self.subject)))

    @property
    def phrase(self) -> str:
        """As a refusal names it."""
        return f"{self.quota} {self.unit} in {self.window_s} s{SCOPES.get(self.name.rpartition('-')[0], '')}"

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
        names = ", ".join(limit.phrase for limit in refused)
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


def call_limits(principal: Principal, *, route: str, tokens: int, end_user: str = "") -> list[Limit]:
    """Every limit of a call of an estimated number of tokens: the site's, the end user's or address's, the route's.

    ``end_user`` is whom the site names in the call; a visitor, whose proof is a stream token, can't name anybody. All
    fail closed: they guard what an operator pays for, so a call that can't be counted does not pass. Parents have
    budgets over their children, not rates.
    """
    tenant = principal.tenant
    limits = list(_limits("", "", {"rpm": tenant.rpm, "rpd": tenant.rpd, "tpm": tenant.tpm}, tokens=tokens))
    user = principal.end_user or ("" if principal.method == STREAM_TOKEN else end_user)
    if user:
        if tenant.end_user_rpm is not None or tenant.end_user_rpd is not None:
            quotas = {"rpm": tenant.end_user_rpm, "rpd": tenant.end_user_rpd}
            limits += _limits("user-", subject_of(tenant, "user", user), quotas)
    elif tenant.ip_rpm is not None and principal.method != JOB:
        network = network_of(principal.ip) or "unknown"  # what has no address, such as a socket file, counts as one
        limits += _limits("ip-", subject_of(tenant, "ip", str(network)), {"rpm": tenant.ip_rpm})
    if quotas := tenant.routes.get(route, {}):
        if principal.method == JOB:
            quotas = {"tpm": quotas.get("tpm")}
        limits += _limits("route-", subject_of(tenant, "route", route), quotas, tokens=tokens)
    return limits


def job_limits(tenant: Tenant, *, end_user: str = "") -> list[Limit]:
    """Every limit of creating a job; what it asks models for is counted as calls, when it does."""
    limits = list(_limits("job-", "", {"rpm": tenant.job_rpm}))
    if end_user:
        limits += _limits("user-job-", subject_of(tenant, "user", end_user), {"rpm": tenant.end_user_job_rpm})
    quotas = tenant.routes.get(JOBS_ROUTE, {})
    requests = {kind: quotas.get(kind) for kind in ("rpm", "rpd")}
    return [*limits, *_limits("route-", subject_of(tenant, "route", JOBS_ROUTE), requests)]


def counts_tokens(tenant: Tenant, route: str) -> bool:
    """Whether a call's tokens are limited, so that its worst case must have an end."""
    return tenant.tpm is not None or "tpm" in tenant.routes.get(route, {})


def subject_of(tenant: Tenant, kind: str, who: str) -> str:
    """Whom a limit counts, as stores may see it: without the key nobody finds the end user or address in it."""
    text = f"{tenant.pk}\x00{kind}\x00{who}".encode("utf-8", "surrogatepass")
    return salted_hmac("django_wp_ai.limits", text, algorithm="sha256").hexdigest()[:32]


def _limits(prefix: str, subject: str, quotas: Mapping[str, int | None], *, tokens: int = 0) -> Iterator[Limit]:
    """A limit for each quota there is, by its kind."""
    for kind, (window_s, unit) in KINDS.items():
        quota = quotas.get(kind)
        if quota is not None:
            cost = tokens if unit == TOKENS else 1
            yield Limit(name=prefix + kind, quota=quota, window_s=window_s, cost=cost, unit=unit, subject=subject)


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
