"""Health: who may ask, and what it finds."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.api.conftest import MOUNT
from tests.api.refusals import check_shape
from tests.servers import free_port

pytestmark = pytest.mark.django_db


def get(client: Client, part: str, ip: str = "203.0.113.7", **headers: str) -> Any:
    return client.get(f"{MOUNT}health/{part}", REMOTE_ADDR=ip, headers=headers)


def test_a_living_process_says_so_without_asking_anything(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = get(client, "live")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response["X-Request-ID"]


def test_a_ready_process_names_its_parts(client: Client) -> None:
    response = get(client, "ready")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "checks": {"database": "ok", "cache": "ok"}}


def test_a_dead_cache_makes_it_unready_and_is_named(client: Client, settings: Any) -> None:
    location = f"redis://127.0.0.1:{free_port()}/0"
    settings.CACHES = {"default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": location}}
    response = get(client, "ready")

    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "checks": {"database": "ok", "cache": "unavailable"}}


def test_a_cache_that_forgets_makes_it_unready(client: Client, settings: Any) -> None:
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    assert get(client, "ready").json()["checks"]["cache"] == "unavailable"


def test_a_dead_database_makes_it_unready_and_is_named(client: Client) -> None:
    from django.db import connections

    with connections["default"].execute_wrapper(_fail):
        response = get(client, "ready")
    assert response.status_code == 503
    assert response.json()["checks"]["database"] == "unavailable"
    assert b"secret-host" not in response.content


def _fail(*_: Any) -> Any:
    from django.db import OperationalError

    raise OperationalError("could not connect to secret-host")


@pytest.mark.parametrize("part", ["live", "ready"])
def test_health_can_be_kept_to_some_networks(client: Client, settings: Any, part: str) -> None:
    settings.DJANGO_WP_AI = {
        **settings.DJANGO_WP_AI,
        "HEALTH_CIDRS": ["10.0.0.0/8"],
        "TRUSTED_PROXIES": ["192.0.2.1/32"],
    }
    assert get(client, part, "10.1.2.3").status_code == 200
    check_shape(get(client, part), "health", 404, "not_found")
    assert get(client, part, "192.0.2.1", **{"X-Forwarded-For": "10.1.2.3"}).status_code == 200
    assert get(client, part, "203.0.113.7", **{"X-Forwarded-For": "10.1.2.3"}).status_code == 404
