"""What is shown of a callback's URL."""

from __future__ import annotations

import pytest

from django_wp_ai.callbacks.reading import shown


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://example.org/wp-json/ai/v1/webhook", "https://example.org/wp-json/ai/v1/webhook"),
        ("https://example.org/hook?token=hunter2", "https://example.org/hook?…"),
        ("https://editor:hunter2@example.org:8443/hook", "https://example.org:8443/hook"),
        ("https://editor:a@b@[2001:db8::1]/hook", "https://[2001:db8::1]/hook"),
        ("https://[not-an-address/hook", ""),
    ],
)
def test_a_url_is_shown_without_what_may_be_a_secret(url: str, told: str) -> None:
    assert shown(url) == told
