"""Whether this process lives, and whether it can work."""

from __future__ import annotations

import logging
from typing import Any

from django.core.cache import caches
from django.db import connections
from django.http import HttpRequest, JsonResponse
from ninja import Router

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.exceptions import NotFound
from django_wp_ai.security.client_ip import client_ip, is_within
from django_wp_ai.shared_cache import Script, shared_cache

logger = logging.getLogger("django_wp_ai.api")
router = Router(tags=["health"])

_KEY = "django_wp_ai:ready"
_KEEPS = Script("return redis.call('SET', KEYS[1], '1', 'EX', 10)")


@router.get("live", auth=None, summary="Liveness")
async def live(request: HttpRequest) -> dict[str, str]:
    """The process answers."""
    _require_network(request)
    return {"status": "ok"}


@router.get("ready", auth=None, summary="Readiness")
async def ready(request: HttpRequest) -> JsonResponse:
    """Database and shared cache answer; 503 names the one that doesn't."""
    _require_network(request)
    checks = await in_thread(_checks)
    healthy = all(state == "ok" for state in checks.values())
    body: dict[str, Any] = {"status": "ok" if healthy else "unavailable", "checks": checks}
    return JsonResponse(body, status=200 if healthy else 503)


def _require_network(request: HttpRequest) -> None:
    if not settings.health_cidrs:
        return
    ip = client_ip(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))
    if not is_within(ip, settings.health_cidrs):
        raise NotFound


def _checks() -> dict[str, str]:
    return {"database": _state("database", _ask_database), "cache": _state("cache", _ask_cache)}


def _state(name: str, ask: Any) -> str:
    try:
        ask()
    except Exception as error:  # noqa: BLE001 - whatever a driver raises, the part is not usable
        logger.warning("%s is not ready: %s", name, type(error).__name__)
        return "unavailable"
    return "ok"


def _ask_database() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_cache() -> None:
    """Write and read; a Redis that hangs is not waited for, or probes alone would use up all threads."""
    shared = shared_cache()
    if shared.runs_scripts:
        shared.run(_KEEPS, [shared.key(_KEY)], [])
        return
    cache = caches[settings.cache_alias]
    cache.set(_KEY, 1, timeout=10)
    if cache.get(_KEY) != 1:
        raise ConnectionError("the cache forgets")
