"""What a reply tells of its rate limits: the IETF draft's fields and OpenAI's.

Source: draft-ietf-httpapi-ratelimit-headers-11. ``t`` is the time until some of the quota comes back, which is when
``Retry-After`` lets a refused call pass at the earliest. The draft's registry has no unit for tokens; ``qu="tokens"``
says what is counted all the same, because without it ``q`` would mean requests.
"""

from __future__ import annotations

import math

from django_wp_ai.policy.limits import REQUESTS, LimitStatus, RateDecision


def ratelimit_fields(decision: RateDecision) -> dict[str, str]:
    """``RateLimit-Policy``, ``RateLimit`` and, for a refused call, ``Retry-After``; empty for a call without limits."""
    fields = {}
    if decision.statuses:
        fields["RateLimit-Policy"] = ", ".join(_policy(status) for status in decision.statuses)
        fields["RateLimit"] = ", ".join(
            f'"{status.limit.name}";r={status.remaining};t={math.ceil(status.reset_s)}' for status in decision.statuses
        )
    if not decision.allowed:
        fields["Retry-After"] = str(max(1, math.ceil(decision.retry_after_s)))
    return fields


def openai_fields(decision: RateDecision) -> dict[str, str]:
    """``x-ratelimit-*`` for requests and tokens: of each, the limit with the least left, for the longest."""
    fields = {}
    for status in sorted(decision.statuses, key=lambda status: (-status.remaining, status.full_reset_s)):
        unit = status.limit.unit
        fields[f"x-ratelimit-limit-{unit}"] = str(status.limit.quota)
        fields[f"x-ratelimit-remaining-{unit}"] = str(status.remaining)
        fields[f"x-ratelimit-reset-{unit}"] = _duration(status.full_reset_s)
    return fields


def _policy(status: LimitStatus) -> str:
    limit = status.limit
    unit = "" if limit.unit == REQUESTS else f';qu="{limit.unit}"'
    return f'"{limit.name}";q={limit.quota}{unit};w={limit.window_s}'


def _duration(seconds: float) -> str:
    """As OpenAI writes it: ``120ms``, ``1.5s``, ``6m0s``, ``23h59m12s``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    if seconds < 60:
        return f"{math.ceil(seconds * 10) / 10:g}s"
    minutes, rest_s = divmod(math.ceil(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{rest_s}s" if hours else f"{minutes}m{rest_s}s"
