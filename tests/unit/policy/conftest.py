"""Counts begin at nothing in each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_wp_ai.policy import anonymous, breaker
from tests.caches import clean_cache, own_server

__all__ = ["clean_cache", "own_server"]


@pytest.fixture(autouse=True)
def _nothing_counted(clean_cache: None) -> Iterator[None]:
    anonymous._blocked_until_s.clear()
    breaker._circuits.clear()
    yield
    breaker._circuits.clear()
