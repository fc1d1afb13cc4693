"""Rules of the layers that import-linter can't say: submodules of Django, and the standard library."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_wp_ai

PACKAGE = Path(django_wp_ai.__file__).parent
BELOW_THE_EDGES = ("gateway", "jobs", "callbacks", "rag", "policy", "providers", "security", "models", "schemas")


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PACKAGE / folder).rglob("*.py"))]


def imports(path: Path) -> Iterator[str]:
    """Dotted names of what a module imports when it runs; what stands under TYPE_CHECKING is left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(*BELOW_THE_EDGES), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_below_the_edges_knows_requests_or_views(path: Path) -> None:
    forbidden = ("django.http", "django.views", "django.urls", "django.shortcuts", "django.test")
    assert not [name for name in imports(path) if name.startswith(forbidden)]


@pytest.mark.parametrize("name", ["datatypes.py", "exceptions.py"])
def test_plain_data_and_errors_need_the_standard_library_only(name: str) -> None:
    assert {module.partition(".")[0] for module in imports(PACKAGE / name)} <= sys.stdlib_module_names


def test_only_conf_reads_the_hosts_setting() -> None:
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in modules("")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "DJANGO_WP_AI"
    }
    assert readers <= {"conf.py"}


@pytest.mark.parametrize("path", modules(""), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nobody_fetches_a_url_with_the_standard_library(path: Path) -> None:
    clients = ("urllib.request.", "http.client", "ftplib", "xmlrpc", "telnetlib", "smtplib")
    harmless = {"urllib.request.getproxies"}  # reads the environment
    assert not [name for name in imports(path) if f"{name}.".startswith(clients) and name not in harmless]


def test_no_file_is_longer_than_a_reader_takes_in() -> None:
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in modules("")}
    assert {name: lines for name, lines in long.items() if lines > 300 and not re.match(r"\d{4}_", name)} == {}
