"""The page at ``/``: questions to the sample site, the one-time tokens they take, and the pages of that site."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe
from django_ratelimit.decorators import ratelimit

from demo.articles import ARTICLES, PROMPTS
from demo.content import look
from demo.page_site import content_security_policy, is_limited, page_credential, page_tenant, refuse
from demo.work import KINDS
from django_wp_ai.models import Document
from django_wp_ai.providers.registry import providers
from django_wp_ai.security import stream_tokens
from example import MOUNT

SCOPE = "rag.read"
_BY_SLUG = {article.slug: article for article in ARTICLES}


@require_safe
@never_cache
@content_security_policy
def home(request: HttpRequest) -> HttpResponse:
    """The page; without a tenant whose content it asks it explains how to give it one."""
    tenant = page_tenant()
    context = {
        "tenant": tenant,
        "index": look(tenant) if tenant else None,
        "prompts": PROMPTS,
        "kinds": KINDS.values(),
        "samples": {kind.name: kind.sample for kind in KINDS.values()},
        "offline": next(iter(providers()), "") == "offline",
        "api": request.build_absolute_uri(f"/{MOUNT}v1/"),
        "mount": f"/{MOUNT}",
    }
    return render(request, "demo/home.html", context)


@require_safe
@content_security_policy
def article(request: HttpRequest, slug: str) -> HttpResponse:
    """A post or page of the sample site, where its citations lead; only while the page speaks for that site."""
    tenant, found = page_tenant(), _BY_SLUG.get(slug)
    if tenant is None or found is None:
        raise Http404
    if not Document.objects.for_tenant(tenant).living().filter(source_id=found.source_id).exists():
        raise Http404
    return render(request, "demo/article.html", {"tenant": tenant, "article": found, "articles": ARTICLES})


@require_POST
@csrf_protect
@ratelimit(key="ip", rate="20/m", block=False)  # type: ignore[untyped-decorator]  # it has no annotations
def stream_token(request: HttpRequest) -> HttpResponse:
    """A token for one question of this page's visitor: ``{token, expires_at, url}``, as ``POST v1/stream-tokens``."""
    if is_limited(request):
        return refuse(429, "rate_limited", "Too many questions from your address", retry_after_s=60)
    credential = page_credential(page_tenant(), SCOPE)
    if credential is None:
        return refuse(404, "not_found", "No tenant with a live key is set up for this page")
    token = stream_tokens.mint(credential, scopes=[SCOPE])
    reply = {
        "token": token.token,
        "expires_at": token.expires_at.isoformat(),
        "url": reverse("django_wp_ai:ask"),
    }
    return JsonResponse(reply, headers={"Cache-Control": "no-store"})
