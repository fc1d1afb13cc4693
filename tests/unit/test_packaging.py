"""What ``pyproject.toml`` promises to those who install the package."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

import django_wp_ai

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
ALL = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel made from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


def test_the_wheel_holds_the_package_and_nothing_else(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "django_wp_ai").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == package
    assert "django_wp_ai/py.typed" in package
    assert not [name for name in names if name.endswith(".pth")]


def test_the_sdist_can_be_tested_and_has_no_leftovers(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "tox.ini", "pyproject.toml", "tests/settings.py"} <= names
    assert not [
        name for name in names if re.search(r"__pycache__|\.pyc$|(^|/)var/|\.sqlite3$|demo\.json$|\.env$", name)
    ]


def test_the_extras_are_the_documented_ones() -> None:
    assert set(EXTRAS) == {"rag", "ocr", "s3", "metrics", "otel", "demo", "test", "docs"}
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    assert {extra for extra in EXTRAS if f"| `{extra}` |" not in page} == set()


@pytest.mark.parametrize("line", [line for line in ALL if not line.startswith("django-wp-ai")])
def test_every_dependency_has_one_lower_bound_and_no_download_address(line: str) -> None:
    requirement = Requirement(line)
    assert requirement.url is None
    assert [part.operator for part in requirement.specifier if part.operator in {">=", "~=", "=="}] == [">="]


def test_the_classifiers_name_the_tested_versions() -> None:
    tox = (ROOT / "tox.ini").read_text(encoding="utf-8")
    classifiers = PROJECT["classifiers"]
    pythons = {line.rpartition(" ")[2] for line in classifiers if re.fullmatch(r".*Python :: 3\.\d+", line)}
    djangos = {line.rpartition(" ")[2] for line in classifiers if "Framework :: Django ::" in line}
    assert pythons == {f"3.{minor}" for minor in re.findall(r"py3(\d+)-dj", tox)}
    assert djangos == {f"{a}.{b}" for a, b in re.findall(r"^    dj(\d)(\d): ", tox, re.MULTILINE)}


def test_the_version_is_one_that_an_index_accepts() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|(a|b|rc)\d+)?", django_wp_ai.__version__)


def test_nothing_is_written_about_the_network_in_a_requirement_file() -> None:
    for path in [ROOT / "pyproject.toml", ROOT / "tox.ini", *(ROOT / ".ci").iterdir()]:
        assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", path.read_text(encoding="utf-8")), (
            path
        )
