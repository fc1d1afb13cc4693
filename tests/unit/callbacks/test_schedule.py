"""Times between attempts, and what a receiver may ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from django_wp_ai.callbacks.schedule import MAX_RETRY_AFTER_S, WAITS_S, read_retry_after, wait_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_the_schedule_is_the_one_of_the_contract() -> None:
    hours = [0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]
    assert [pytest.approx(wait_s / 3600) for wait_s in WAITS_S] == hours


@pytest.mark.parametrize("attempts", range(1, 10))
def test_a_wait_is_never_shorter_than_written_and_a_tenth_longer_at_most(attempts: int) -> None:
    waits = {wait_after(attempts) for _ in range(200)}
    assert None not in waits
    assert len(waits) > 100
    assert all(WAITS_S[attempts] <= (wait or 0) <= WAITS_S[attempts] * 1.1 for wait in waits)


def test_after_the_last_attempt_there_is_none() -> None:
    assert wait_after(10) is None
    assert wait_after(10, retry_after_s=5) is None


def test_a_receiver_can_ask_for_more_time_but_not_for_less_nor_for_more_than_a_day() -> None:
    assert (wait_after(1, retry_after_s=600) or 0) >= 600
    assert (wait_after(5, retry_after_s=1) or 0) >= WAITS_S[5]
    assert MAX_RETRY_AFTER_S <= (wait_after(1, retry_after_s=1e9) or 0) <= MAX_RETRY_AFTER_S * 1.1


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:10:00 GMT", 600.0),
        ("Sunday, 01-Mar-26 12:10:00 GMT", 600.0),
        ("Sun, 01 Mar 2026 12:10:00 -0000", 600.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣", None),
        ("soon", None),
        ("9" * 400, None),
        ("Sun, 99 Mar 2026 12:10:00 GMT", None),
        ("Sun, 01 Mar 99999 12:10:00 GMT", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(value: str, seconds: float | None) -> None:
    assert read_retry_after(value, now=NOW) == seconds


def test_the_schedule_spans_three_days() -> None:
    assert timedelta(seconds=sum(WAITS_S)) == timedelta(hours=75, minutes=35, seconds=5)
