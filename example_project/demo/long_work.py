"""The page's long work: hands a job in as the site would, and receives its signed callback as the site would."""

from __future__ import annotations

import json
import logging
import time
from math import ceil
from typing import Any
from uuid import UUID, uuid4

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe
from django_ratelimit.decorators import ratelimit

from demo.page_site import is_limited, page_credential, page_tenant, refuse
from demo.work import KINDS, MAX_TEXT
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Unauthenticated, WpAiError
from django_wp_ai.jobs.create import NewJob, create
from django_wp_ai.models import Credential, Job, Tenant
from django_wp_ai.security import secrets, stream_tokens, webhook_signatures

logger = logging.getLogger("demo")

#: The end user of all jobs of the page: with its tokens a visitor reaches no other job of the site.
VISITOR = "home-page-visitor"
KEPT_S = 900
MAX_BODY = 64_000
SHOWN_BODY = 2000
WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


@require_POST
@csrf_protect
@ratelimit(key="ip", rate="20/m", block=False)  # type: ignore[untyped-decorator]  # it has no annotations
def hand_in(request: HttpRequest) -> HttpResponse:
    """Create a job of ``kind`` for ``text``: 202 with its id and a token that watches it once."""
    if is_limited(request):
        return refuse(429, "rate_limited", "Too many jobs from your address", retry_after_s=60)
    credential = page_credential(page_tenant(), "jobs")
    if credential is None:
        return refuse(404, "not_found", "No tenant with a live key is set up for this page")
    kind, text = KINDS.get(request.POST.get("kind", "")), request.POST.get("text", "").strip()
    if kind is None or not 1 <= len(text) <= MAX_TEXT:
        return refuse(422, "invalid", "Not valid", detail=f"Choose a kind, and give up to {MAX_TEXT} characters.")
    new = NewJob(
        kind=kind.name,
        input=kind.input(text),
        callback_url=request.build_absolute_uri(reverse("home-callback")),
        metadata={"from": "home page"},
        request_id=uuid4().hex,
        end_user=VISITOR,
    )
    try:
        job = create(_principal(credential), new).job
    except WpAiError as error:
        return refuse(
            error.status, error.code, error.title, detail=error.detail, retry_after_s=ceil(error.retry_after_s or 0)
        )
    return _accepted(job, credential)


@csrf_exempt
@require_POST
def callback(request: HttpRequest) -> HttpResponse:
    """What a WordPress site has: verify, note once by ``webhook-id``, answer at once. 401 for any other sender."""
    tenant = page_tenant()
    body = request.body
    headers = {name: request.headers.get(name, "") for name in WEBHOOK_HEADERS}
    if tenant is None or len(body) > MAX_BODY:
        return HttpResponse(status=404 if tenant is None else 413)
    try:
        webhook_signatures.verify(body, _callback_secrets(tenant), headers, now=int(time.time()))
    except Unauthenticated:
        return HttpResponse(status=401)
    event = json.loads(body)
    note = {"type": event["type"], "headers": headers, "body": body.decode()[:SHOWN_BODY]}
    # `add` is one atomic command: a message that comes twice, as any may, has its effect once.
    if not cache.add(_key(event["data"].get("id", "")), note, KEPT_S):
        logger.info("Callback %s came again.", headers["webhook-id"])
    return HttpResponse(status=204)


@require_safe
@never_cache
def arrived(request: HttpRequest, job_id: UUID) -> HttpResponse:  # noqa: ARG001 - the id says it all
    """The verified callback of a job: 200 with it, or 204 while none has come."""
    note = cache.get(_key(str(job_id)))
    return HttpResponse(status=204) if note is None else JsonResponse(note)


def _principal(credential: Credential) -> Principal:
    """The site itself, for its visitor."""
    return Principal(
        tenant=credential.tenant,
        credential=credential,
        scopes=frozenset(credential.scopes),
        end_user=VISITOR,
        models=tuple(credential.allowed_models),
    )


def _accepted(job: Job, credential: Credential) -> HttpResponse:
    token = stream_tokens.mint(credential, scopes=["jobs"], end_user=VISITOR)
    reply: dict[str, Any] = {
        "id": str(job.pk),
        "kind": job.kind,
        "status": job.status,
        "token": token.token,
        "expires_at": token.expires_at.isoformat(),
        "events": reverse("django_wp_ai:job-events", args=[job.pk]),
        "callback": reverse("home-callback-arrived", args=[job.pk]),
        "admin": reverse("admin:django_wp_ai_job_change", args=[job.pk]),
    }
    return JsonResponse(reply, status=202, headers={"Cache-Control": "no-store"})


def _callback_secrets(tenant: Tenant) -> list[str]:
    """Those that sign now: two while one rotates. One that the encryption key no longer opens signs nothing."""
    found = []
    for credential in Credential.objects.for_tenant(tenant).live().filter(kind=Credential.Kind.CALLBACK):
        try:
            found.append(secrets.decrypt(credential.secret_encrypted))
        except secrets.UndecryptableSecret:
            logger.warning("The callback secret %s can't be read.", credential.key_id)
    return found


def _key(job_id: str) -> str:
    return f"demo:callback:{job_id}"
