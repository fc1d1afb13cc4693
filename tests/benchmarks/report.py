"""Figures as Markdown tables: for the terminal and, between two marks, for the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import django

from tests.benchmarks.load import Sample, percentile

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->", "<!-- /figures -->"
PERCENTS = (50, 95, 99)


@dataclass(frozen=True, slots=True)
class Row:
    """One measured run of a server."""

    server: str
    mode: str
    connections: int
    sample: Sample
    cpu_percent: float
    cpu_ms: float  # the server's processor time for one answer
    rss_mb: float


def machine(*more: str) -> str:
    """When and on what it was measured."""
    about = f"{datetime.now(UTC):%Y-%m-%d}", f"{os.cpu_count()} cores", f"Python {platform.python_version()}"
    return " · ".join((*about, f"Django {django.__version__}", *more))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table: the first column's cells to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join([first, *others])} |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def throughput(rows: Sequence[Row]) -> str:
    """Answers in a second, the server's load and its memory."""
    return table(
        ("server", "answer", "connections", "answers/s", "CPU", "CPU ms each", "memory"),
        [
            (
                row.server,
                row.mode,
                str(row.connections),
                f"{row.sample.rate:.0f}",
                f"{row.cpu_percent:.0f} %",
                f"{row.cpu_ms:.2f}",
                f"{row.rss_mb:.0f} MB",
            )
            for row in rows
        ],
    )


def latency(rows: Sequence[Row], *, base: str) -> str:
    """Milliseconds to the end of an answer: whole for ``base``, for the others what they take more than it."""
    own = {(row.mode, row.connections): row.sample for row in rows if row.server == base}
    lines = []
    for row in rows:
        vendor = own.get((row.mode, row.connections)) if row.server != base else None
        cells = [
            _ms(percentile(row.sample.whole_s, percent), percentile(vendor.whole_s, percent) if vendor else None)
            for percent in PERCENTS
        ]
        first = (
            _ms(percentile(row.sample.first_s, 50), percentile(vendor.first_s, 50) if vendor else None)
            if row.mode != "whole"
            else ""
        )
        lines.append((row.server, row.mode, str(row.connections), *cells, first))
    return table(("server", "answer", "connections", "p50 ms", "p95 ms", "p99 ms", "first delta p50 ms"), lines)


def _ms(seconds: float, base_s: float | None) -> str:
    return f"{seconds * 1000:.2f}" if base_s is None else f"{(seconds - base_s) * 1000:+.2f}"


def tables(rows: Sequence[Row], *, base: str) -> str:
    """Both tables, each with a line of its own."""
    return "\n\n".join(
        (
            "Throughput and load:",
            throughput(rows),
            f"Latency; the app's rows say what they take *more* than the {base}:",
            latency([row for row in rows if row.mode != "-"], base=base),
        )
    )


def against(rows: Sequence[Row], *, ours: str, theirs: str) -> str:
    """How two servers compare: whole answers a second where each has most, and the median wait of one caller."""
    own, other = ([row for row in rows if row.server == name and row.mode == "whole"] for name in (ours, theirs))
    rate = max(row.sample.rate for row in own) / max(row.sample.rate for row in other)
    waits = [percentile(min(found, key=lambda row: row.connections).sample.whole_s, 50) for found in (own, other)]
    fewest = min(row.connections for row in own)
    return (
        f"The full path gives {rate:.1f} times as many whole answers a second, and a median answer takes "
        f"{waits[0] / waits[1]:.2f} times as long at {fewest} connection{'s' * (fewest > 1)} "
        f"({1000 * waits[0]:.1f} ms against {1000 * waits[1]:.1f} ms)."
    )


def write(figures: str, *, marks: tuple[str, str] = (BEGIN, END)) -> None:
    """Replace the figures of the documentation that stand between two marks."""
    before, begin, rest = PAGE.read_text(encoding="utf-8").partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise RuntimeError(f"{PAGE} has no {marks[0]} … {marks[1]}.")
    PAGE.write_text(f"{before}{begin}\n\n{figures}\n\n{end}{after}", encoding="utf-8")
