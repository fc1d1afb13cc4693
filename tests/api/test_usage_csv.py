"""``v1/usage`` as CSV: quoted, named, and nothing that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import io
from decimal import Decimal

import pytest

from tests.api.conftest import Site
from tests.api.test_usage import ask, used

HOSTILE = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b=1",
    "＝1",
    "＋1",
    "－1",
    "＠1",
    '=HYPERLINK("http://x.test";"y")',
    "\t1",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_cell_begins_a_formula(site: Site, text: str) -> None:
    used(site.tenant, plugin=text, end_user=text)
    response = ask(site, **{"from": "2026-03-01", "to": "2026-03-31", "group_by": "plugin,end_user", "format": "csv"})
    header, row = csv.reader(io.StringIO(response.content.decode(), newline=""))
    assert header[:2] == ["plugin", "end_user"]
    assert row[:2] == [f"'{text}"] * 2


def test_csv_is_quoted_as_rfc_4180_says_and_named(site: Site) -> None:
    texts = ['a "quoted" one', "with, comma", "two\r\nlines", "Ümläut 漢字", "it's fine", "a=b"]
    for text in texts:
        used(site.tenant, plugin=text, cost_usd=Decimal("0.000000001"), input_tokens=3)
    response = ask(site, **{"from": "2026-03-01", "to": "2026-03-31", "group_by": "plugin", "format": "csv"})
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    name = f"usage-{site.tenant.slug}-20260301T0000-20260401T0000.csv"
    assert response["Content-Disposition"] == f'attachment; filename="{name}"'
    assert response["X-Request-ID"]
    text = response.content.decode()
    assert text.endswith("\r\n")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert header == [
        *("plugin", "calls", "pending", "errors", "cache_hits", "estimated"),
        *("input_tokens", "output_tokens", "cached_input_tokens", "cost_usd", "unknown_price"),
    ]
    assert sorted(row[0] for row in rows) == sorted(texts)
    assert {row[6] for row in rows} == {"3"}
    assert {Decimal(row[9]) for row in rows} == {Decimal("0.000000001")}
    assert "E-" not in text


def test_csv_without_groups_is_the_totals(site: Site) -> None:
    used(site.tenant, input_tokens=7)
    response = ask(site, **{"from": "2026-03-01", "to": "2026-03-31", "format": "csv"})
    header, row = csv.reader(io.StringIO(response.content.decode()))
    assert dict(zip(header, row, strict=True))["input_tokens"] == "7"
