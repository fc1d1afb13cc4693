"""An empty registry for each test."""

from __future__ import annotations

import pytest

from django_wp_ai.gateway.tools import registry


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> dict[str, registry.RegisteredTool]:
    found: dict[str, registry.RegisteredTool] = {}
    monkeypatch.setattr(registry, "_registered", found)
    return found
