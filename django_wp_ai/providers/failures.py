"""What went wrong at a vendor, told as one of our own errors.

Both vendors' error bodies look alike. Nothing of what the vendor wrote reaches the error: its status and its type and
code, when they look like identifiers, go to the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2

from django_wp_ai.exceptions import ProviderError, ProviderRefused, ProviderTimeout, ProviderUnavailable

logger = logging.getLogger("django_wp_ai.providers")

_IDENTIFIER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}")
_TIMEOUTS = (TimeoutError, httpx2.TimeoutException)
#: What reading an answer that is not what the vendor documents raises.
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError)
_REFUSED = frozenset({400, 404, 405, 413, 415, 422})
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.WriteError, httpx2.ProxyError)
_REFUSALS = {
    "context_length_exceeded": "The request is longer than the model's context.",
    "model_not_found": "The provider does not know this model.",
    "content_filter": "The provider's content filter refused the prompt.",
    "content_policy_violation": "The provider's content filter refused the prompt.",
    404: "The provider does not know this model.",
    413: "The request is too large for the provider.",
}
_OVERLOADED = frozenset({"overloaded_error", "rate_limit_error", "rate_limit_exceeded", "server_overloaded"})


class Cut(Exception):
    """A stream ended before its finish reason."""


class Reported(Exception):
    """The vendor's own error, as the body of its answer or as an event of a stream (then without a status)."""

    def __init__(self, body: Any, *, status: int | None = None, headers: httpx2.Headers | None = None) -> None:
        super().__init__("the vendor reported an error")
        self.body = body
        self.status = status
        self.headers = headers or httpx2.Headers()


@dataclass(slots=True)
class Call:
    """One call under way; ``answering`` once the vendor sent a first event, from where on it bills."""

    provider: str
    model: str
    answering: bool = False


@contextmanager
def translated(provider: str, model: str) -> Iterator[Call]:
    """Run a vendor call; whatever fails leaves as a ProviderError without the vendor's words."""
    call = Call(provider, model)
    try:
        yield call
    except (Reported, Cut, httpx2.HTTPError, httpx2.StreamError, TimeoutError, *_UNREADABLE) as error:
        raise _translate(error, call) from None


def _translate(error: Exception, call: Call) -> ProviderError:
    reported = error if isinstance(error, Reported) else None
    kind, code, param = _labels(reported)
    logger.warning(
        "%s failed on %s: %s, status %s, type %s, code %s",
        call.provider,
        call.model,
        type(error).__name__,
        (reported and reported.status) or "-",
        kind or "-",
        code or "-",
    )
    if call.answering or isinstance(error, Cut):
        if isinstance(error, _TIMEOUTS):
            return ProviderTimeout("The provider stopped sending.", charged=True)
        return ProviderError("The provider's answer broke off.", charged=True)
    if reported is not None and reported.status is not None:
        return _of_status(reported.status, reported.headers, code, param)
    if reported is not None:  # as the first event of a stream: nothing was generated yet
        return ProviderUnavailable(retryable=True) if kind in _OVERLOADED else ProviderError(retryable=True)
    if isinstance(error, (*_TIMEOUTS, httpx2.TransportError)):
        return _of_connection(error)
    return ProviderError("The provider's answer is not readable.", charged=True)


def _of_connection(error: Exception) -> ProviderError:
    """No answer came. What may have reached the vendor may be billed."""
    if isinstance(error, httpx2.PoolTimeout):
        return ProviderUnavailable("All connections to the provider are busy.", retryable=True)
    unsent = isinstance(error, _NEVER_SENT)
    if isinstance(error, _TIMEOUTS):
        return ProviderTimeout(retryable=unsent, charged=not unsent)
    return ProviderUnavailable(retryable=True, charged=not unsent)


def _of_status(status: int, headers: httpx2.Headers, code: str, param: str) -> ProviderError:
    """The error for an HTTP status (RFC 9110; 529 is Anthropic's "overloaded")."""
    after = retry_after_s(headers)
    if status in _REFUSED:
        refused = ProviderRefused(_REFUSALS.get(code) or _REFUSALS.get(status, ""), provider_status=status)
        refused.param = param or None
        return refused
    if status in {409, 429, 503, 529}:
        spent = code in {"insufficient_quota", "billing_hard_limit_reached"}
        return ProviderUnavailable(provider_status=status, retryable=not spent, retry_after_s=after)
    if status in {408, 504}:
        return ProviderTimeout(provider_status=status, retryable=True, retry_after_s=after)
    return ProviderError(provider_status=status, retryable=status >= 500, retry_after_s=after)


def retry_after_s(headers: httpx2.Headers, *, now: datetime | None = None) -> float | None:
    """Seconds to wait as ``Retry-After`` says (a number or an HTTP date, RFC 9110 §10.2.3), or ``retry-after-ms``."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value):
            return float(value) * unit
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def _labels(reported: Reported | None) -> tuple[str, str, str]:
    """The vendor's type, code and parameter, where they are identifiers and not prose."""
    body: Any = reported.body if reported is not None else None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"]
    if not isinstance(body, dict):
        return "", "", ""
    kind, code, param = (_identifier(body.get(key)) for key in ("type", "code", "param"))
    return kind, code, param


def _identifier(value: Any) -> str:
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else ""
