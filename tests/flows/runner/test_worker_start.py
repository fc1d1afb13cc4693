"""What a worker process loads before it takes its first job."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from django_wp_ai import workers
from django_wp_ai.providers import registry


async def test_a_worker_makes_its_providers_before_its_first_job(settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {"offline": {}}}
    assert registry._providers is None
    await workers._make_providers()
    assert list(registry._providers or {}) == ["offline"]


async def test_a_worker_begins_where_a_provider_can_not_be_made(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "PROVIDERS": {"broken": {"class": "no.such.Provider"}}}
    with caplog.at_level(logging.WARNING, "django_wp_ai.jobs"):
        await workers._make_providers()
    assert "can't make the configured providers: ImproperlyConfigured" in caplog.text
