"""The page at ``/``: a visitor's chat with the sample site, and the one-time tokens it streams with."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe
from django_ratelimit.decorators import ratelimit

from demo.articles import PROMPTS
from demo.page_site import content_security_policy, is_limited, page_credential, page_tenant, refuse
from demo.work import KINDS
from django_wp_ai.models import Chunk, Tenant
from django_wp_ai.providers.registry import providers
from django_wp_ai.security import stream_tokens
from example import MOUNT

MAX_PASSAGES = 20


@require_safe
@never_cache
@content_security_policy
def home(request: HttpRequest) -> HttpResponse:
    """The page; without a tenant to chat as it explains how to give it one."""
    tenant = page_tenant()
    passages = list(_passages(tenant)) if tenant else []
    context = {
        "tenant": tenant,
        "passages": passages,
        "system": _system_prompt(tenant, passages) if tenant else "",
        "prompts": PROMPTS if passages else (),
        "kinds": KINDS.values(),
        "samples": {kind.name: kind.sample for kind in KINDS.values()},
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
    if is_limited(request):
        return refuse(429, "rate_limited", "Too many questions from your address", retry_after_s=60)
    credential = page_credential(page_tenant(), "chat")
    if credential is None:
        return refuse(404, "not_found", "No tenant with a live key is set up for this page")
    token = stream_tokens.mint(credential, scopes=["chat"])
    reply = {
        "token": token.token,
        "expires_at": token.expires_at.isoformat(),
        "url": reverse("django_wp_ai:chat-stream"),
    }
    return JsonResponse(reply, headers={"Cache-Control": "no-store"})


def _passages(tenant: Tenant) -> list[Chunk]:
    chunks = Chunk.objects.for_tenant(tenant).select_related("document").order_by("document__source_id", "ordinal")
    return list(chunks[:MAX_PASSAGES])


def _system_prompt(tenant: Tenant, passages: list[Chunk]) -> str:
    pages = "\n\n".join(f"{chunk.document.title}\n{chunk.content}" for chunk in passages)
    return f"You answer visitors of {tenant} from its own pages, briefly, and say when they hold no answer.\n\n{pages}"
