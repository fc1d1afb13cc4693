"""Where a WordPress plugin turns a pairing code into its keys."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest, JsonResponse
from django.urls import reverse
from ninja import Router
from pydantic import Field

from django_wp_ai.api import body, edge
from django_wp_ai.bridge import in_thread
from django_wp_ai.exceptions import RateLimited, Unauthenticated
from django_wp_ai.gateway import pairing
from django_wp_ai.policy.anonymous import failed_auth_blocked, note_failed_auth
from django_wp_ai.schemas.base import Strict
from django_wp_ai.security.client_ip import client_ip

router = Router(tags=["pairing"])


class PairIn(Strict):
    """What the plugin tells of its site."""

    code: Annotated[str, Field(min_length=1, max_length=64, description="As shown to the operator.")]
    site_url: Annotated[str, Field(min_length=1, max_length=500, description="Where WordPress runs.")]
    callback_url: Annotated[str, Field(max_length=2000, description="Where callbacks are received.")] = ""
    plugin_version: Annotated[str, Field(max_length=32, pattern=r"^[0-9A-Za-z.+-]*$")] = ""


async def without_proof(request: HttpRequest) -> bool:
    """Reads the body where the code in it is the only proof."""
    body.check_media_type(request)
    request.wp_ai_json = body.parse(edge.read_body(request))  # type: ignore[attr-defined]  # for the parser
    return True


@router.post("pair", auth=without_proof, summary="Pair a site", url_name="pair")
async def pair(request: HttpRequest, given: PairIn) -> JsonResponse:
    """Spend a pairing code; the reply holds the site's keys and is given once."""
    ip = client_ip(request.META.get("REMOTE_ADDR", ""), request.headers.get("X-Forwarded-For", ""))
    paired = await in_thread(_redeem, given, ip)
    response = JsonResponse(
        {
            "tenant": paired.tenant.slug,
            "base_url": request.build_absolute_uri(reverse("django_wp_ai:pair")).removesuffix("/v1/pair"),
            "keyid": paired.signing.key_id,
            "signing_secret": paired.signing_secret,
            "api_key": paired.api_key,
            "callback_secret": paired.callback_secret,
        }
    )
    response["Cache-Control"] = "no-store"
    return response


def _redeem(given: PairIn, ip: str) -> pairing.Paired:
    """As a credential is proved: an address that failed too often waits when it fails again, a good code passes."""
    wait_s = failed_auth_blocked(ip)
    try:
        return pairing.redeem(
            given.code,
            site_url=given.site_url,
            callback_url=given.callback_url,
            plugin_version=given.plugin_version,
        )
    except Unauthenticated:
        if wait_s:
            raise RateLimited("Too many failed attempts from this address.", retry_after_s=wait_s) from None
        note_failed_auth(ip)
        raise
