"""When a callback is tried again (PROTOCOL §5; the times are those that Standard Webhooks recommends)."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MINUTE_S, HOUR_S = 60.0, 3600.0
#: How long after the attempt before it each attempt is made; after the last one the callback is a dead letter.
WAITS_S = (
    0.0,
    5.0,
    5 * MINUTE_S,
    30 * MINUTE_S,
    2 * HOUR_S,
    5 * HOUR_S,
    10 * HOUR_S,
    14 * HOUR_S,
    20 * HOUR_S,
    24 * HOUR_S,
)
MAX_RETRY_AFTER_S = 24 * HOUR_S
#: A wait is lengthened by up to this share, so that those who failed together don't come back together.
JITTER = 0.1

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def wait_after(attempts: int, *, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next attempt after so many; None when there is none. Never sooner than the receiver asked."""
    if attempts >= len(WAITS_S):
        return None
    wait_s = max(WAITS_S[attempts], min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))
    return wait_s * random.uniform(1.0, 1.0 + JITTER)  # noqa: S311 - spreads load, no secret


def read_retry_after(value: str, *, now: datetime) -> float | None:
    """Seconds of a ``Retry-After`` header, which gives seconds or a date (RFC 9110 §10.2.3); None for anything else."""
    text = value.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
