from __future__ import annotations

from decimal import Decimal

import pytest

from django_wp_ai.admin.display import badge, count, milliseconds, usd, usd_sum


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "unknown"),
        (Decimal(0), "$0.00"),
        (Decimal("0.0000001"), "<$0.000001"),
        (Decimal("0.000001"), "$0.000001"),
        (Decimal("0.00120"), "$0.0012"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("0.9999999"), "$1.00"),
        (Decimal("1.005"), "$1.01"),
        (Decimal("1234567.891"), "$1,234,567.89"),
    ],
)
def test_money_is_exact_where_it_is_small_and_short_where_it_is_large(amount, shown):
    assert usd(amount) == shown


def test_sums_are_to_the_cent_unless_they_are_less_than_one():
    assert usd_sum(Decimal("0.366293")) == "$0.37"
    assert usd_sum(Decimal("0.0049")) == "$0.0049"


def test_counts_are_grouped_and_durations_have_units():
    assert (count(1234567), count(None)) == ("1,234,567", "0")
    assert (milliseconds(None), milliseconds(999), milliseconds(61_500)) == ("-", "999 ms", "61.5 s")


def test_a_badge_escapes_its_label():
    assert "<b>" not in badge("unheard-of", "<b>")
