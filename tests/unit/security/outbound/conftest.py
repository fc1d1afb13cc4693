"""Here nothing private is allowed, unlike in the rest of the suite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.security.outbound.names import names

__all__ = ["names"]


@pytest.fixture
def allow_networks(settings: Any) -> Callable[..., None]:
    def allow(*cidrs: str) -> None:
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "OUTBOUND_ALLOWED_NETWORKS": list(cidrs)}

    return allow


@pytest.fixture(autouse=True)
def nothing_private(allow_networks: Callable[..., None]) -> None:
    allow_networks()
