"""Where others tell of what happened: vendors and the sites' own services. Kept at once, worked on later."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest, JsonResponse
from ninja import Router
from pydantic import BaseModel, ConfigDict, Field

from django_wp_ai.api import edge
from django_wp_ai.api.auth import credential_of, principal_of, site_event
from django_wp_ai.api.openapi import ACCEPTED
from django_wp_ai.bridge import in_thread
from django_wp_ai.exceptions import Forbidden, RateLimited, Unauthenticated
from django_wp_ai.gateway import inbound
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.models import AuthFailureCount
from django_wp_ai.policy.anonymous import failed_auth_blocked, note_failed_auth
from django_wp_ai.security.envelope import Envelope

router = Router(tags=["webhooks"])


class EventIn(BaseModel):
    """An event; whatever else stands in it is kept with it."""

    model_config = ConfigDict(extra="allow", strict=True)

    id: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,255}$", description="The same when it is sent again.")]
    type: Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,100}$", description="What happened.")]
    data: Annotated[Any, Field(description="About what.")] = None


async def by_the_vendor(request: HttpRequest) -> bool:  # noqa: ARG001 - Ninja's hook
    """The proof is the vendor's signature, which the provider checks."""
    return True


@router.post(
    "providers/{provider}",
    auth=by_the_vendor,
    summary="An event of a vendor",
    url_name="provider-webhook",
    openapi_extra=ACCEPTED,
)
async def provider_event(request: HttpRequest, provider: str) -> JsonResponse:
    """Take an event that a vendor signed, such as a finished batch."""
    return _told(await in_thread(_receive, provider, edge.envelope(request, is_stream=False)))


@router.post("events", auth=site_event, summary="An event of a site", url_name="site-event", openapi_extra=ACCEPTED)
async def site_event_received(request: HttpRequest, event: EventIn) -> JsonResponse:
    """Take an event of a site's own services."""
    principal = principal_of(request)
    require_scope(principal, "jobs")
    if principal.end_user:  # the proof may be in a visitor's hands
        raise Forbidden("Events come from the site, not from its users.")
    is_new = await in_thread(
        inbound.receive,
        source=credential_of(request).key_id,
        event_id=event.id,
        type=event.type,
        payload=event.model_dump(),
        tenant=principal.tenant,
    )
    return _told(is_new)


def _told(is_new: bool) -> JsonResponse:
    return JsonResponse({"status": "received" if is_new else "duplicate"}, status=202 if is_new else 200)


def _receive(provider: str, envelope: Envelope) -> bool:
    """As a credential is proved: an address that failed too often waits when it fails again, a good event passes."""
    wait_s = failed_auth_blocked(envelope.ip)
    try:
        return inbound.receive_from_provider(provider, envelope.body, envelope.headers)
    except Unauthenticated as error:
        if wait_s:
            raise RateLimited("Too many failed attempts from this address.", retry_after_s=wait_s) from None
        note_failed_auth(envelope.ip)
        AuthFailureCount.objects.add(method=error.method, reason=error.reason)
        raise
