"""What holds for the whole suite: no network outside loopback, no silent skips, PostgreSQL's own tests only there."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

_blocked: list[str] = []


def is_local(host: Any) -> bool:
    """Whether a socket address's host is this machine's loopback (or no host: a listening socket's wildcard)."""
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in (None, "", "localhost"):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_address(host: Any) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _guard(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook sees what every library does with sockets, and can't be patched away by one."""
    if event in {"socket.connect", "socket.sendto", "socket.sendmsg"}:
        address = arguments[1]
        if not isinstance(address, tuple) or is_local(address[0]):
            return
        target = f"{address[0]}:{address[1]}"
    elif event == "socket.getaddrinfo":
        # Reading a numeric address asks nobody; only names go out to a server.
        if is_local(arguments[0]) or _is_address(arguments[0]):
            return
        target = str(arguments[0])
    else:
        return
    _blocked.append(target)
    raise RuntimeError(f"Tests reach this machine only, not {target}.")


sys.addaudithook(_guard)


@pytest.fixture(autouse=True)
def network_attempts() -> Iterator[list[str]]:
    """Hosts outside loopback that the test tried to reach. It fails for them, unless it expected and cleared them."""
    _blocked.clear()
    yield _blocked
    assert not _blocked, f"reached out to {_blocked}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out PostgreSQL's own tests on another database."""
    from django.db import connection

    if connection.vendor == "postgresql":
        return
    left_out = [item for item in items if item.get_closest_marker("postgresql")]
    items[:] = [item for item in items if not item.get_closest_marker("postgresql")]
    config.hook.pytest_deselected(items=left_out)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI a skipped test fails the run: there everything that a test may need is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
