"""What a reply says of its limits."""

from __future__ import annotations

import pytest

from django_wp_ai.policy.limits import Limit, Reading, decide
from django_wp_ai.policy.rate_fields import openai_fields, ratelimit_fields
from django_wp_ai.policy.rates import take

MINUTE = Limit(name="rpm", quota=100, window_s=60)
DAY = Limit(name="rpd", quota=1000, window_s=86_400)
TOKENS = Limit(name="tpm", quota=5000, window_s=60, cost=700, unit="tokens")


def reading(used: int, next_free_ms: int, all_free_ms: int, retry_ms: int = 0) -> Reading:
    return Reading(used, next_free_ms, all_free_ms, retry_ms, bucket=0)


def test_a_passed_call_is_told_its_policies_and_what_is_left() -> None:
    readings = [reading(40, 12_001, 60_000), reading(999, 500, 86_400_000), reading(700, 60_000, 60_000)]
    decision = decide("a", [MINUTE, DAY, TOKENS], readings, store="cache")
    assert ratelimit_fields(decision) == {
        "RateLimit-Policy": '"rpm";q=100;w=60, "rpd";q=1000;w=86400, "tpm";q=5000;qu="tokens";w=60',
        "RateLimit": '"rpm";r=60;t=13, "rpd";r=1;t=1, "tpm";r=4300;t=60',
    }
    assert openai_fields(decision) == {
        "x-ratelimit-limit-requests": "1000",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "24h0m0s",
        "x-ratelimit-limit-tokens": "5000",
        "x-ratelimit-remaining-tokens": "4300",
        "x-ratelimit-reset-tokens": "1m0s",
    }


def test_a_refused_call_is_told_to_wait_for_the_slowest_limit_and_not_less_than_a_second() -> None:
    decision = decide(
        "a", [MINUTE, DAY], [reading(100, 20, 59_000, 20), reading(1000, 7_100, 80_000_000, 7_100)], store="cache"
    )
    assert ratelimit_fields(decision)["Retry-After"] == "8"
    decision = decide("a", [MINUTE], [reading(100, 20, 59_000, 20)], store="cache")
    assert ratelimit_fields(decision)["Retry-After"] == "1"


def test_a_limit_lowered_below_what_is_used_has_nothing_left() -> None:
    decision = decide("a", [MINUTE], [reading(130, 9_000, 59_000, 30_000)], store="cache")
    assert ratelimit_fields(decision)["RateLimit"] == '"rpm";r=0;t=9'


def test_a_call_without_limits_is_told_nothing() -> None:
    decision = take("a", [])
    assert ratelimit_fields(decision) == openai_fields(decision) == {}


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "0ms"), (120, "120ms"), (1_500, "1.5s"), (2_000, "2s"), (59_940, "60s"), (363_000, "6m3s")],
)
def test_a_reset_is_written_as_openai_writes_it(milliseconds: int, text: str) -> None:
    decision = decide("a", [MINUTE], [reading(1, milliseconds, milliseconds)], store="cache")
    assert openai_fields(decision)["x-ratelimit-reset-requests"] == text


def test_each_scope_has_an_entry_of_its_own_and_openais_fields_show_the_tightest() -> None:
    user = Limit(name="user-rpm", quota=5, window_s=60, subject="5f")
    route = Limit(name="route-rpm", quota=10, window_s=60, subject="6a")
    readings = [reading(95, 12_001, 50_000), reading(5, 7_000, 40_000, 7_000), reading(10, 9_000, 45_000, 9_000)]
    decision = decide("a", [MINUTE, user, route], readings, store="cache")
    assert ratelimit_fields(decision) == {
        "RateLimit-Policy": '"rpm";q=100;w=60, "user-rpm";q=5;w=60, "route-rpm";q=10;w=60',
        "RateLimit": '"rpm";r=5;t=13, "user-rpm";r=0;t=7, "route-rpm";r=0;t=9',
        "Retry-After": "9",
    }
    assert openai_fields(decision) == {
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "45s",
    }
