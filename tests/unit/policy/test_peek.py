"""Looking at rates: where they stand, with nothing taken, locked or made."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from django_wp_ai.models import RateWindow
from django_wp_ai.policy import rates
from django_wp_ai.policy.limits import Limit, RateDecision
from tests.caches import without_cache

pytestmark = pytest.mark.django_db

T0 = 1_800_000_000.25
LIMITS = [
    Limit(name="rpm", quota=3, window_s=60),
    Limit(name="tpm", quota=100, window_s=60, cost=70, unit="tokens"),
    Limit(name="route-rpm", quota=2, window_s=60, subject="chat"),
    Limit(name="route-rpm", quota=5, window_s=60, subject="messages"),
]


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    if request.param == "database":
        without_cache(settings)
    return str(request.param)


def remaining(decision: RateDecision | None) -> list[int]:
    assert decision is not None
    return [status.remaining for status in decision.statuses]


def test_what_was_taken_is_seen_and_looking_takes_nothing(store: str) -> None:
    assert remaining(rates.peek("site", LIMITS, now=T0)) == [3, 100, 2, 5]
    assert rates.take("site", LIMITS[:3], now=T0).allowed
    for _ in range(5):
        seen = rates.peek("site", LIMITS, now=T0 + 1)
        assert remaining(seen) == [2, 30, 1, 5]
    assert seen is not None
    assert seen.store == store
    assert 0 < seen.statuses[0].reset_s <= 60
    assert remaining(rates.peek("other", LIMITS, now=T0 + 1)) == [3, 100, 2, 5]
    assert rates.take("site", LIMITS[:1], now=T0 + 1).statuses[0].remaining == 1
    assert remaining(rates.peek("site", LIMITS, now=T0 + 62)) == [3, 100, 2, 5]


def test_a_lowered_quota_has_nothing_left(store: str) -> None:
    for _ in range(3):
        rates.take("site", LIMITS[:1], now=T0)
    assert remaining(rates.peek("site", [Limit(name="rpm", quota=1, window_s=60)], now=T0)) == [0]


def test_looking_writes_nothing_into_the_database(settings: Any) -> None:
    without_cache(settings)
    with CaptureQueriesContext(connection) as queries:
        rates.peek("site", LIMITS)
    [query] = queries
    assert query["sql"].startswith("SELECT")
    assert "FOR UPDATE" not in query["sql"]
    assert not RateWindow.objects.exists()


def test_without_limits_nobody_is_asked() -> None:
    with CaptureQueriesContext(connection) as queries:
        assert rates.peek("site", []) == RateDecision("site", allowed=True)
    assert not queries.captured_queries


def test_where_neither_store_answers_nothing_is_claimed(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    without_cache(settings)
    with connection.execute_wrapper(broken):
        assert rates.peek("site", LIMITS) is None
    assert "Rates can't be read: OperationalError." in caplog.messages
