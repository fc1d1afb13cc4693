"""One error tree. Each class carries the documented ``code`` and HTTP ``status`` and a title that is safe to show.

What a caller sees is ``title`` and ``detail`` only; provider text and secrets are never put there. Source: PROTOCOL §2,
RFC 9457 (problem details).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class WpAiError(Exception):
    """Base of everything this package refuses or fails with."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong"

    def __init__(
        self,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        errors: Sequence[dict[str, str]] = (),
        param: str | None = None,
    ) -> None:
        """``detail`` must be safe to show; ``errors`` lists fields as ``{"field", "message"}``."""
        super().__init__(detail or self.title)
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.errors = list(errors)
        self.param = param
        self.fields: dict[str, str] = {}  # header fields that tell more of the refusal, by name


class Unauthenticated(WpAiError):
    """No valid proof of who calls. ``reason`` is for counters and logs, never for the caller."""

    code = "unauthenticated"
    status = 401
    title = "Authentication is missing or not valid"

    def __init__(self, detail: str = "", *, reason: str = "invalid", method: str = "none") -> None:
        super().__init__(detail)
        self.reason = reason
        self.method = method


class Forbidden(WpAiError):
    """Known, but not permitted: scope, network, origin."""

    code = "forbidden"
    status = 403
    title = "This credential may not do that"


class NotFound(WpAiError):
    """Absent, or another tenant's, which is told the same way."""

    code = "not_found"
    status = 404
    title = "There is no such thing here"


class Conflict(WpAiError):
    """Clashes with a request still running."""

    code = "conflict"
    status = 409
    title = "The request conflicts with one in progress"


class TooLarge(WpAiError):
    """More bytes than the edge accepts."""

    code = "too_large"
    status = 413
    title = "The body is too large"


class UnsupportedMedia(WpAiError):
    """A content type or encoding the edge does not read."""

    code = "unsupported_media"
    status = 415
    title = "The body's type or encoding is not supported"


class Invalid(WpAiError):
    """The input breaks a rule; ``errors`` lists the fields."""

    code = "invalid"
    status = 422
    title = "The request is not valid"


class ModelNotAllowed(WpAiError):
    """No configured provider serves the model to this tenant."""

    code = "model_not_allowed"
    status = 400
    title = "This model is unknown or not allowed"


class BudgetExceeded(WpAiError):
    """A hard budget can't cover the worst case."""

    code = "budget_exceeded"
    status = 402
    title = "The budget does not cover this call"


class RateLimited(WpAiError):
    """A rate limit is used up; ``retry_after_s`` says until when."""

    code = "rate_limited"
    status = 429
    title = "Too many requests"


class ContentBlocked(WpAiError):
    """A content rule refuses the text."""

    code = "content_blocked"
    status = 400
    title = "The content is not allowed"


class ProviderError(WpAiError):
    """The provider failed. ``provider_status`` is its HTTP status, ``charged`` whether it may bill the call."""

    code = "provider_error"
    status = 502
    title = "The AI provider failed"

    def __init__(
        self,
        detail: str = "",
        *,
        provider_status: int | None = None,
        retryable: bool = False,
        charged: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(detail, retry_after_s=retry_after_s)
        self.provider_status = provider_status
        self.retryable = retryable
        self.charged = charged


class ProviderUnavailable(ProviderError):
    """The provider can't be reached, is overloaded, or limits us."""

    code = "provider_unavailable"
    status = 503
    title = "The AI provider is not available"


class ProviderTimeout(ProviderError):
    """The provider did not answer in time; it may bill the call."""

    code = "provider_timeout"
    status = 504
    title = "The AI provider took too long"


class ProviderRefused(ProviderError):
    """The provider found the request itself not valid (its 400, 404, 413, 422): the caller's to mend."""

    code = "invalid"
    status = 422
    title = "The AI provider refused the request as not valid"
