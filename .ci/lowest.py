"""The lowest release of each dependency that ``pyproject.toml`` allows.

``write FILE`` writes them as pip constraints; ``verify`` fails unless exactly these are installed.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

TOOLS = {"test", "docs"}


def lowest() -> dict[str, Version]:
    """Each direct dependency (not the test and docs tools) with its lower bound."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"]]
    for extra, requirements in project["optional-dependencies"].items():
        lines += [] if extra in TOOLS else requirements
    bounds = {}
    for requirement in map(Requirement, lines):
        if requirement.name == project["name"]:
            continue  # an extra that brings another one's libraries
        floors = [Version(part.version) for part in requirement.specifier if part.operator in {">=", "~=", "=="}]
        if len(floors) != 1:
            raise SystemExit(f"{requirement}: give exactly one lower bound.")
        bounds[requirement.name] = floors[0]
    return bounds


def main(action: str, *paths: str) -> None:
    """Run ``write FILE`` or ``verify``."""
    if action == "write" and len(paths) == 1:
        Path(paths[0]).parent.mkdir(parents=True, exist_ok=True)
        Path(paths[0]).write_text("".join(f"{name}=={floor}\n" for name, floor in lowest().items()), encoding="utf-8")
    elif action == "verify" and not paths:
        wrong = [
            f"{name} {version(name)}, not {floor}"
            for name, floor in lowest().items()
            if Version(version(name)) != floor
        ]
        if wrong:
            raise SystemExit("Not the lowest: " + "; ".join(wrong))
        print("\n".join(f"{name} {floor}" for name, floor in lowest().items()))
    else:
        raise SystemExit("usage: lowest.py write FILE | verify")


if __name__ == "__main__":
    main(*(sys.argv[1:] or [""]))
