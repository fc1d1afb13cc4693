"""The error tree: the documented codes and statuses, and nothing in them that must not be shown."""

from __future__ import annotations

import pytest

from django_wp_ai import exceptions
from django_wp_ai.exceptions import ProviderError, RateLimited, Unauthenticated, WpAiError

#: PROTOCOL, section 2.
DOCUMENTED = {
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "too_large": 413,
    "unsupported_media": 415,
    "invalid": 422,
    "model_not_allowed": 400,
    "budget_exceeded": 402,
    "rate_limited": 429,
    "content_blocked": 400,
    "provider_error": 502,
    "provider_unavailable": 503,
    "provider_timeout": 504,
}
CLASSES = [
    value
    for value in vars(exceptions).values()
    if isinstance(value, type) and issubclass(value, WpAiError) and value is not WpAiError
]


def test_every_documented_code_has_its_status_and_no_other_exists() -> None:
    assert {kind.code: kind.status for kind in CLASSES} == DOCUMENTED


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_says_its_title_unless_there_is_more_to_say(kind: type[WpAiError]) -> None:
    assert str(kind()) == kind.title
    assert str(kind("More.")) == "More."
    assert kind("More.").detail == "More."
    assert (kind().errors, kind().fields, kind().param) == ([], {}, None)


def test_what_only_logs_may_know_is_not_in_the_text() -> None:
    assert "unknown_key" not in str(Unauthenticated(reason="unknown_key", method="api_key"))
    assert str(ProviderError(provider_status=500)) == ProviderError.title


def test_two_errors_share_no_list() -> None:
    first = RateLimited()
    first.errors.append({"field": "a", "message": "b"})
    first.fields["a"] = "b"
    assert (RateLimited().errors, RateLimited().fields) == ([], {})
