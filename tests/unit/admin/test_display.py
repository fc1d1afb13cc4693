from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from django_wp_ai.admin.display import address, badge, bar, count, duration, milliseconds, usd, usd_sum


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


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "0 ms"),
        (0.25, "250 ms"),
        (59.94, "59.9 s"),
        (60, "1 min"),
        (185.9, "3 min 5 s"),
        (7500, "2 h 5 min"),
        (86_400, "1 d"),
        (183_600, "2 d 3 h"),
        (86_400 * 3 + 59, "3 d"),
    ],
)
def test_a_time_span_is_told_in_its_two_largest_units(seconds, shown):
    assert duration(seconds) == duration(timedelta(seconds=seconds)) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@Hooks.example.org:8443/in/", "hooks.example.org:8443/in"),
        ("https://hooks.example.org/in?token=secret#secret", "hooks.example.org/in?…"),
        ("https://hooks.example.org/services/T0/8f3a9b1c7d5e4f6a8b9c0d1e2f", "hooks.example.org/services/T0/…"),
        ("https://[::1]/in", "::1/in"),
        ("http://[broken", "-"),
        ("https://hooks.example.org:port/in", "-"),
        ("secret", "-"),
        ("", "-"),
    ],
)
def test_an_address_is_shown_without_what_may_be_a_secret(url, shown):
    assert address(url) == shown


def test_a_bar_has_its_number_beside_it():
    assert 'value="42"' in bar(42)
    assert "42 %" in bar(42)
