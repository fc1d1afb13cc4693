"""Cutting a long text."""

from __future__ import annotations

import pytest

from django_wp_ai.jobs.asking.parts import LEAST_BYTES, PART_BYTES, bound, cut
from django_wp_ai.models import Tenant


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        ("short", 100, ["short"]),
        ("First one. Second one. Third one.", 24, ["First one. Second one.", "Third one."]),
        ("A first, longer paragraph.\n\nAnother. More", 36, ["A first, longer paragraph.", "Another. More"]),
        ("一二三。四五六。", 14, ["一二三。", "四五六。"]),
        ("x" * 25, 10, ["x" * 10, "x" * 10, "x" * 5]),
        ("   ", 10, []),
    ],
)
def test_parts_end_where_a_thought_ends(text: str, most: int, expected: list[str]) -> None:
    found = cut(text, most=most)
    assert found == expected
    assert all(len(part.encode()) <= most for part in found)
    assert "".join("".join(found).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["é" * 999, "😀" * 500, "word " * 3000, "\ud800" * 100, "a\n" * 3000])
def test_no_part_is_too_long_and_nothing_is_lost(text: str) -> None:
    parts = cut(text, most=100)
    assert all(len(part.encode("utf-8", "replace")) <= 100 for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_site_that_gives_jobs_less_input_gets_smaller_parts() -> None:
    assert bound(Tenant()) == PART_BYTES
    assert bound(Tenant(routes={"jobs": {"max_input_tokens": 1400}})) == 4000
    assert bound(Tenant(routes={"jobs": {"max_input_tokens": 10}})) == LEAST_BYTES
    assert bound(Tenant(routes={"jobs": {"max_input_tokens": 10**9}})) == PART_BYTES
