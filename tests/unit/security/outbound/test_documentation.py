"""The documentation lists what the code has: every failure, every refused port."""

from __future__ import annotations

import re
from pathlib import Path

from django_wp_ai.security.outbound.destination import REFUSED_PORTS
from django_wp_ai.security.outbound.errors import MESSAGES

ROOT = Path(__file__).resolve().parents[4]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8").partition("## Outbound requests")[2]


def test_each_failure_is_explained() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(MESSAGES)


def test_each_refused_port_is_listed() -> None:
    listed = PAGE.partition("### Ports")[2].partition("##")[0]
    ranges = [(int(first), int(last or first)) for first, last in re.findall(r"(\d+)(?:–(\d+))?", listed)]
    assert {port for first, last in ranges for port in range(first, last + 1)} == REFUSED_PORTS
