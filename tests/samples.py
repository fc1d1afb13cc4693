"""The samples of the documentation: fenced blocks below a ``<!-- sample: kind -->`` comment."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_FENCE = re.compile(
    r"^(?:<!-- sample: (?P<kind>[a-z]+) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<source>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Sample:
    """One fenced block; ``kind`` is empty where the page marks none."""

    page: str
    line: int
    kind: str
    language: str
    source: str

    @property
    def id(self) -> str:
        return f"{self.page}:{self.line}"


def samples(kind: str | None = None) -> list[Sample]:
    """All fenced blocks, or those of one kind."""
    found = [
        Sample(
            page=path.name,
            line=text.count("\n", 0, match.start()) + 1,
            kind=match["kind"] or "",
            language=match["language"],
            source=re.sub(rf"^{match['indent']}", "", match["source"], flags=re.MULTILINE),
        )
        for path in PAGES
        for text in [path.read_text(encoding="utf-8")]
        for match in _FENCE.finditer(text)
    ]
    return found if kind is None else [sample for sample in found if sample.kind == kind]
