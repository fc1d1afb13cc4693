from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache

from django_wp_ai.security import nonces
from django_wp_ai.security.credentials import fresh


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Rolled back tests may reuse primary keys; what was spent under one must not meet the next."""
    fresh.clear()
    cache.clear()
    nonces._rows_until_s = 0.0
    yield
    fresh.clear()
