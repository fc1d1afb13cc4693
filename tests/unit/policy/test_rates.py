"""What a limit means, the same for both stores; the oracle is a log of every call."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import RateWindow
from django_wp_ai.policy import rates, rates_database
from django_wp_ai.policy.limits import Limit, RateDecision

pytestmark = pytest.mark.django_db

T0 = 1_800_000_000.25


@pytest.fixture(params=["cache", "database"])
def store(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    if request.param == "database":
        settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    return request.param


def requests(quota: int = 3, window_s: int = 60, **options: Any) -> Limit:
    return Limit(name=options.pop("name", "rpm"), quota=quota, window_s=window_s, **options)


def remaining(decision: RateDecision) -> list[int]:
    return [status.remaining for status in decision.statuses]


def test_a_quota_passes_and_the_next_call_waits_for_the_first_to_come_back(store: str) -> None:
    decisions = [rates.take("a", [requests()], now=T0 + second) for second in range(4)]
    assert [decision.allowed for decision in decisions] == [True, True, True, False]
    assert [remaining(decision) for decision in decisions] == [[2], [1], [0], [0]]
    assert {decision.store for decision in decisions} == {store}
    assert decisions[3].retry_after_s == pytest.approx(57)
    assert decisions[3].statuses[0].reset_s == pytest.approx(57)
    assert decisions[3].statuses[0].full_reset_s == pytest.approx(59)


def test_a_call_passes_when_its_retry_after_is_over_and_not_a_millisecond_before(store: str) -> None:
    limit = requests(quota=1)
    rates.take("a", [limit], now=T0)
    refused = rates.take("a", [limit], now=T0 + 5)
    assert not rates.take("a", [limit], now=T0 + 5 + refused.retry_after_s - 0.001).allowed
    assert rates.take("a", [limit], now=T0 + 5 + refused.retry_after_s).allowed


def test_no_second_burst_passes_at_the_edge_of_a_window(store: str) -> None:
    edge = 1_800_000_000.0 + 60
    passed = [rates.take("a", [requests(quota=10)], now=edge + step / 100).allowed for step in range(-20, 20)]
    assert sum(passed) == 10


def test_a_refused_call_takes_nothing_of_any_limit(store: str) -> None:
    minute, day = requests(quota=1), requests(name="rpd", quota=10, window_s=86_400)
    rates.take("a", [minute, day], now=T0)
    for _ in range(5):
        assert not rates.take("a", [minute, day], now=T0 + 1).allowed
    assert remaining(rates.take("a", [day], now=T0 + 2)) == [8]


def test_a_refusal_names_only_the_limit_that_is_used_up(store: str) -> None:
    minute, tokens = requests(), Limit(name="tpm", quota=100, window_s=60, cost=60, unit="tokens")
    rates.take("a", [minute, tokens], now=T0)
    refused = rates.take("a", [minute, tokens], now=T0)
    assert [status.refused for status in refused.statuses] == [False, True]
    with pytest.raises(RateLimited, match="used up: 100 tokens in 60 s") as caught:
        refused.raise_if_refused()
    assert caught.value.retry_after_s == pytest.approx(60)


def test_windows_and_tenants_do_not_share_counts(store: str) -> None:
    for limit in (requests(1), requests(1, name="rpd"), requests(1, window_s=61)):
        assert rates.take("a", [limit], now=T0).allowed
    assert rates.take("b", [requests(1)], now=T0).allowed
    assert not rates.take("a", [requests(1)], now=T0).allowed


def test_a_changed_quota_keeps_what_was_taken(store: str) -> None:
    for _ in range(3):
        rates.take("a", [requests(3)], now=T0)
    assert remaining(rates.take("a", [requests(5)], now=T0 + 1)) == [1]
    assert not rates.take("a", [requests(2)], now=T0 + 1).allowed


def test_a_quota_of_nothing_lets_nothing_pass(store: str) -> None:
    refused = rates.take("a", [requests(0)], now=T0)
    assert (refused.allowed, remaining(refused), refused.retry_after_s) == (False, [0], 60)


def test_a_call_larger_than_the_limit_is_told_so(store: str) -> None:
    limit = Limit(name="tpm", quota=100, window_s=60, cost=101, unit="tokens")
    with pytest.raises(RateLimited, match="This call alone is more than the limit allows"):
        rates.take("a", [limit], now=T0).raise_if_refused()
    assert rates.take("a", [Limit(name="tpm", quota=100, window_s=60, cost=100)], now=T0).allowed


def test_a_free_look_takes_nothing(store: str) -> None:
    look = requests(quota=2, cost=0)
    for _ in range(3):
        decision = rates.take("a", [look], now=T0)
        assert (decision.allowed, remaining(decision)) == (True, [2])
    assert decision.statuses[0].full_reset_s == 0


def test_a_peek_shows_windows_and_takes_nothing_of_them(store: str) -> None:
    one, other = requests(quota=2, subject="5f"), requests(quota=3, subject="6a")
    rates.take("a", [one], now=T0)
    for _ in range(3):
        peeked = rates.peek("a", [one, other], now=T0)
        assert peeked is not None
        assert remaining(peeked) == [1, 3]
    assert rates.peek("a", []) == RateDecision("a", allowed=True)


def test_an_estimate_that_was_too_high_comes_back(store: str) -> None:
    tokens = Limit(name="tpm", quota=100, window_s=60, cost=90, unit="tokens")
    decision = rates.take("a", [requests(), tokens], now=T0)
    assert not rates.take("a", [tokens], now=T0 + 1).allowed
    rates.adjust(decision, {"tpm": 10, "unknown": 5}, now=T0 + 5)
    again = rates.take("a", [requests(cost=0), tokens], now=T0 + 5)
    assert again.allowed
    assert remaining(again) == [2, 0]
    assert rates.take("a", [Limit(name="tpm", quota=100, window_s=60, cost=10)], now=T0 + 60).allowed


def test_use_beyond_the_estimate_counts_from_when_it_is_known(store: str) -> None:
    tokens = Limit(name="tpm", quota=100, window_s=60, cost=10, unit="tokens")
    decision = rates.take("a", [tokens], now=T0)
    rates.adjust(decision, {"tpm": 150}, now=T0 + 30)
    look = Limit(name="tpm", quota=100, window_s=60, cost=1)
    refused = rates.take("a", [look], now=T0 + 31)
    assert remaining(refused) == [0]
    assert rates.take("a", [look], now=T0 + 89.9).allowed is False
    assert rates.take("a", [look], now=T0 + 90).allowed


def test_a_call_refused_later_gives_everything_back(store: str) -> None:
    limits = [requests(1), requests(1, name="rpd", window_s=86_400)]
    for _ in range(3):
        decision = rates.take("a", limits, now=T0)
        assert decision.allowed
        rates.give_back(decision, now=T0)


def test_giving_back_what_has_slid_away_or_was_refused_changes_nothing(store: str) -> None:
    old = rates.take("a", [requests(2)], now=T0)
    new = rates.take("a", [requests(2)], now=T0 + 61)
    rates.give_back(old, now=T0 + 61)
    refused = rates.take("a", [requests(1)], now=T0 + 61)
    rates.give_back(refused, now=T0 + 61)
    assert new.allowed
    assert remaining(rates.take("a", [requests(2, cost=0)], now=T0 + 61)) == [1]


def test_the_newest_bucket_may_be_given_back_while_an_older_one_stays(store: str) -> None:
    rates.take("a", [requests(3)], now=T0)
    later = rates.take("a", [requests(3)], now=T0 + 30)
    rates.give_back(later, now=T0 + 31)
    status = rates.take("a", [requests(3, cost=0)], now=T0 + 31).statuses[0]
    assert (status.remaining, status.full_reset_s) == (2, pytest.approx(29))


def test_a_clock_that_goes_back_gives_nothing_away(store: str) -> None:
    limit = requests(quota=1)
    assert rates.take("a", [limit], now=T0).allowed
    refused = rates.take("a", [limit], now=T0 - 3600)
    assert not refused.allowed
    assert refused.retry_after_s == 60


def test_the_stores_own_clocks_are_used_when_none_is_given(store: str) -> None:
    decisions = [rates.take("a", [requests(quota=1)]) for _ in range(2)]
    assert [decision.allowed for decision in decisions] == [True, False]
    assert 0 < decisions[1].retry_after_s <= 60
    rates.give_back(decisions[0])
    assert rates.take("a", [requests(quota=1)]).allowed


@pytest.mark.parametrize("seed", range(6))
def test_decisions_equal_those_of_a_log_of_all_calls(store: str, seed: int) -> None:
    chance = random.Random(seed)
    quota, window_s = chance.randint(1, 12), 60
    limit, log, now = requests(quota, window_s), [], T0
    for _ in range(120):
        # No two calls in one bucket of half a second: there a bucket gives back later than a log would.
        now = round(now + chance.choice([0.5, 0.6, 1.25, 7, 59.5, 60, 200]), 3)
        live = [at for at in log if round(now - at, 3) < window_s]
        decision = rates.take("a", [limit], now=now)
        assert decision.allowed == (len(live) < quota)
        if decision.allowed:
            log.append(now)
            live.append(now)
        else:
            assert decision.retry_after_s == pytest.approx(live[0] + window_s - now, abs=0.002)
        assert remaining(decision) == [quota - len(live)]
        assert decision.statuses[0].full_reset_s == pytest.approx(live[-1] + window_s - now, abs=0.002)


@pytest.mark.parametrize("seed", range(6))
def test_never_more_than_the_quota_passes_in_any_window(store: str, seed: int) -> None:
    chance = random.Random(seed)
    limit, passed, now = requests(quota=20, window_s=10), [], T0
    for _ in range(150):
        now += chance.expovariate(1 / chance.choice([0.005, 0.2, 1.5]))
        cost = chance.randint(0, 4)
        if rates.take("a", [requests(quota=20, window_s=10, cost=cost)], now=now).allowed:
            passed.append((int(now * 1000), cost))
    for end, _ in passed:
        assert sum(cost for at, cost in passed if end - 10_000 < at <= end) <= limit.quota


def test_a_call_without_limits_passes_and_touches_no_store(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        decision = rates.take("a", [])
    assert (decision.allowed, decision.statuses, decision.store) == (True, (), "none")
    decision.raise_if_refused()
    rates.give_back(decision)


def test_a_limit_named_twice_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="named twice"):
        rates.take("a", [requests(1), requests(2)])


@pytest.mark.parametrize(
    "wrong", [{"name": "RPM"}, {"name": ""}, {"name": 'a";b'}, {"quota": -1}, {"cost": -1}, {"window_s": 0}]
)
def test_a_limit_that_means_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="imit"):
        Limit(**{"name": "rpm", "quota": 1, "window_s": 60} | wrong)


def test_less_than_nothing_can_not_be_used() -> None:
    decision = rates.take("a", [requests()])
    with pytest.raises(ValueError, match="rpm"):
        rates.adjust(decision, {"rpm": -1})


def test_rows_that_nobody_asks_for_any_more_are_deleted() -> None:
    rates_database.take("old", [requests()], now=T0 - 10_000_000)
    rates_database.take("new", [requests()], now=None)
    assert RateWindow.objects.count() == 1


def test_a_windows_row_does_not_grow_with_calls() -> None:
    for step in range(300):
        rates_database.take("a", [requests(quota=1000, window_s=60)], now=T0 + step * 0.7)
    row = RateWindow.objects.get()
    assert len(row.buckets) <= 121
    assert str(row) == row.key
