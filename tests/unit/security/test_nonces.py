"""Values that count once: in a shared cache, and in the database where there is none or it is down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.models import SpentNonce
from django_wp_ai.security import nonces
from django_wp_ai.security.authenticate import authenticate
from tests.factories import make_credential, signed
from tests.servers import free_port

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
    assert SpentNonce.objects.count() == (0 if store == "valkey" else 3)


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
