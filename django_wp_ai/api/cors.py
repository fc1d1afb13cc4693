"""CORS for browsers that hold a stream token: a tenant's own origins, on stream routes, and nothing else."""

from __future__ import annotations

import time
from threading import Lock

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden
from django_wp_ai.models import Tenant

KNOWN_FOR_S = 5.0
MAX_AGE_S = 600

_lock = Lock()
_known: tuple[float, frozenset[str]] = (float("-inf"), frozenset())


def origin_of(request: HttpRequest) -> str:
    """The request's Origin when it comes from another site than ours, else empty."""
    origin = request.META.get("HTTP_ORIGIN", "")
    own = f"{request.scheme}://{request.get_host()}"
    return "" if origin == own else origin


def require_origin(request: HttpRequest, principal: Principal) -> None:
    """Refuse a browser on a page that is not the tenant's; note an allowed origin for the reply."""
    origin = origin_of(request)
    if not origin:
        return
    if origin not in principal.tenant.origins:
        raise Forbidden("This origin is not one of the site's.")
    request.wp_ai_origin = origin  # type: ignore[attr-defined]  # read again when the reply is made


def allow_origin(request: HttpRequest, response: HttpResponseBase) -> None:
    """Add the CORS header that ``require_origin`` or ``preflight`` found to be due."""
    origin: str = getattr(request, "wp_ai_origin", "")
    if origin:
        response["Access-Control-Allow-Origin"] = origin
        response["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After, RateLimit, RateLimit-Policy"
        patch_vary_headers(response, ["Origin"])


def preflight(request: HttpRequest, *, methods: str) -> HttpResponse:
    """Blocking: answer an OPTIONS request; no tenant is known yet, so any active tenant's origin passes."""
    origin = origin_of(request)
    if not origin or origin not in _tenant_origins():
        raise Forbidden("This origin is not known here.")
    request.wp_ai_origin = origin  # type: ignore[attr-defined]  # read again when the reply is made
    response = HttpResponse(status=204)
    response["Access-Control-Allow-Methods"] = methods
    response["Access-Control-Allow-Headers"] = "Authorization, Content-Type, X-Request-ID"
    response["Access-Control-Max-Age"] = str(MAX_AGE_S)
    return response


def _tenant_origins() -> frozenset[str]:
    """All active tenants' origins, read at most once in ``KNOWN_FOR_S`` by each process."""
    global _known
    with _lock:
        read_at, origins = _known
        if time.monotonic() - read_at > KNOWN_FOR_S:
            rows = Tenant.objects.filter(is_active=True).exclude(origins=[]).values_list("origins", flat=True)
            origins = frozenset(origin for row in rows for origin in row)
            _known = (time.monotonic(), origins)
        return origins
