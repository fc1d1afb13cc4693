"""The page at ``/``: a visitor's chat with the sample site, and the one-time tokens it streams with."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from uuid import uuid4

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe
from django_ratelimit.decorators import ratelimit

from demo.articles import PROMPTS
from django_wp_ai.models import Chunk, Credential, Tenant
from django_wp_ai.providers.registry import providers
from django_wp_ai.security import stream_tokens
from example import MOUNT

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAX_PASSAGES = 20
SITE_SECRET_KINDS = (Credential.Kind.HMAC, Credential.Kind.JWT, Credential.Kind.API_KEY)


def content_security_policy(view: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Only this site's own files run or are asked on the page."""

    @wraps(view)
    def protected(request: HttpRequest) -> HttpResponse:
        response = view(request)
        response["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response

    return protected


@require_safe
@never_cache
@content_security_policy
def home(request: HttpRequest) -> HttpResponse:
    """The page; without a tenant to chat as it explains how to give it one."""
    tenant = _tenant()
    passages = list(_passages(tenant)) if tenant else []
    context = {
        "tenant": tenant,
        "passages": passages,
        "system": _system_prompt(tenant, passages) if tenant else "",
        "prompts": PROMPTS if passages else (),
        "offline": next(iter(providers()), "") == "offline",
        "api": request.build_absolute_uri(f"/{MOUNT}v1/"),
        "mount": f"/{MOUNT}",
    }
    return render(request, "demo/home.html", context)


@require_POST
@csrf_protect
@ratelimit(key="ip", rate="20/m", block=False)  # type: ignore[untyped-decorator]  # it has no annotations
def stream_token(request: HttpRequest) -> HttpResponse:
    """A token for one question of this page's visitor: ``{token, expires_at, url}``, as ``POST v1/stream-tokens``."""
    if getattr(request, "limited", False):
        return _refuse(429, "rate_limited", "Too many questions from your address", headers={"Retry-After": "60"})
    tenant = _tenant()
    credential = _credential(tenant) if tenant else None
    if credential is None:
        return _refuse(404, "not_found", "No tenant with a live key is set up for this page")
    token = stream_tokens.mint(credential, scopes=["chat"])
    reply = {
        "token": token.token,
        "expires_at": token.expires_at.isoformat(),
        "url": reverse("django_wp_ai:chat-stream"),
    }
    return JsonResponse(reply, headers={"Cache-Control": "no-store"})


def _tenant() -> Tenant | None:
    slug = getattr(settings, "HOME_PAGE_TENANT", "")
    return Tenant.objects.filter(slug=slug, is_active=True).first() if slug else None


def _credential(tenant: Tenant) -> Credential | None:
    """The key of the site itself that the token stands in for: it dies with it."""
    live = Credential.objects.for_tenant(tenant).live().filter(kind__in=SITE_SECRET_KINDS).order_by("pk")
    return next((credential for credential in live if "chat" in credential.scopes), None)


def _passages(tenant: Tenant) -> list[Chunk]:
    chunks = Chunk.objects.for_tenant(tenant).select_related("document").order_by("document__source_id", "ordinal")
    return list(chunks[:MAX_PASSAGES])


def _system_prompt(tenant: Tenant, passages: list[Chunk]) -> str:
    pages = "\n\n".join(f"{chunk.document.title}\n{chunk.content}" for chunk in passages)
    return f"You answer visitors of {tenant} from its own pages, briefly, and say when they hold no answer.\n\n{pages}"


def _refuse(status: int, code: str, title: str, *, headers: dict[str, str] | None = None) -> JsonResponse:
    """Problem details (RFC 9457), as the API's own errors."""
    request_id = uuid4().hex
    return JsonResponse(
        {"type": "about:blank", "title": title, "status": status, "code": code, "request_id": request_id},
        status=status,
        content_type="application/problem+json",
        headers={"X-Request-ID": request_id, "Cache-Control": "no-store"} | (headers or {}),
    )
