"""Whom the page at ``/`` speaks for, and what all its views share."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from django_wp_ai.models import Credential, Tenant

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
P = ParamSpec("P")
SITE_SECRET_KINDS = (Credential.Kind.HMAC, Credential.Kind.JWT, Credential.Kind.API_KEY)


def content_security_policy(
    view: Callable[Concatenate[HttpRequest, P], HttpResponse],
) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
    """Only this site's own files run or are asked on the page."""

    @wraps(view)
    def protected(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return protected


def page_tenant() -> Tenant | None:
    """The tenant that the page speaks for; None where nobody has chosen one."""
    slug = getattr(settings, "HOME_PAGE_TENANT", "")
    return Tenant.objects.filter(slug=slug, is_active=True).first() if slug else None


def page_credential(tenant: Tenant | None, scope: str) -> Credential | None:
    """The key of the site itself that a visitor's token stands in for: it dies with it."""
    if tenant is None:
        return None
    live = Credential.objects.for_tenant(tenant).live().filter(kind__in=SITE_SECRET_KINDS).order_by("pk")
    return next((credential for credential in live if scope in credential.scopes), None)


def refuse(status: int, code: str, title: str, *, detail: str = "", retry_after_s: int = 0) -> JsonResponse:
    """Problem details (RFC 9457), as the API's own errors."""
    request_id = uuid4().hex
    problem = {"type": "about:blank", "title": title, "status": status, "code": code, "request_id": request_id}
    if detail:
        problem["detail"] = detail
    headers = {"X-Request-ID": request_id, "Cache-Control": "no-store"}
    if retry_after_s:
        headers["Retry-After"] = str(retry_after_s)
    return JsonResponse(problem, status=status, content_type="application/problem+json", headers=headers)


def is_limited(request: HttpRequest) -> bool:
    """Whether the visitor's address has asked too often, as django-ratelimit found."""
    return bool(getattr(request, "limited", False))
