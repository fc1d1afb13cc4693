"""The suite's own rules hold: see ``tests/conftest.py``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_a_connection_outside_loopback_is_refused_before_it_is_tried(network_attempts: list[str]) -> None:
    with socket.socket() as outside, pytest.raises(RuntimeError, match=r"not 192\.0\.2\.1:80"):
        outside.connect(("192.0.2.1", 80))
    assert network_attempts == ["192.0.2.1:80"]
    network_attempts.clear()


def test_a_name_is_not_looked_up(network_attempts: list[str]) -> None:
    with pytest.raises(RuntimeError, match=r"not vendor\.example"):
        socket.getaddrinfo("vendor.example", 443)
    network_attempts.clear()


def test_loopback_is_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        client.connect(server.getsockname())
        assert client.getpeername() == server.getsockname()


SAMPLES = """
import contextlib, socket
import pytest

def test_passes(): pass
def test_left_out(): pytest.skip("no browser")
@pytest.mark.postgresql
def test_of_postgresql(): raise ValueError
"""
SWALLOWS = """
def test_swallows():
    with contextlib.suppress(Exception):
        socket.create_connection(("192.0.2.1", 80))
"""


def run_pytest(folder: Path, source: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A suite of its own with these rules, on SQLite."""
    (folder / "test_sample.py").write_text(source, encoding="utf-8")
    inherited = {name: value for name, value in os.environ.items() if name not in {"CI", "TEST_DATABASE"}}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", ROOT / "pyproject.toml", folder],
        cwd=ROOT,
        env=inherited | {"TEST_DATABASE_URL": "sqlite://", "REDIS_URL": "redis://localhost:1/0"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.once
def test_in_ci_a_skipped_test_fails_the_run(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, SAMPLES, CI="true")
    assert "1 passed, 1 skipped, 1 deselected" in result.stdout
    assert result.returncode == pytest.ExitCode.TESTS_FAILED


@pytest.mark.once
def test_on_sqlite_the_tests_of_postgresql_are_left_out(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, SAMPLES)
    assert "1 passed, 1 skipped, 1 deselected" in result.stdout
    assert result.returncode == pytest.ExitCode.OK


@pytest.mark.once
def test_a_test_that_swallows_a_refused_connection_fails_all_the_same(tmp_path: Path) -> None:
    result = run_pytest(tmp_path, SAMPLES + SWALLOWS)
    assert "reached out to ['192.0.2.1:80']" in result.stdout
    assert result.returncode == pytest.ExitCode.TESTS_FAILED


def test_a_deprecation_warning_is_an_error() -> None:
    with pytest.raises(DeprecationWarning):
        warnings.warn("old", DeprecationWarning, stacklevel=1)
