"""Authentication as Ninja asks for it."""

from __future__ import annotations

from django.http import HttpRequest
from ninja.security.base import AuthBase

from django_wp_ai.api import body, edge, idempotency
from django_wp_ai.api.cors import require_origin
from django_wp_ai.bridge import in_thread
from django_wp_ai.company import in_company
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, RateLimited, Unauthenticated
from django_wp_ai.policy.anonymous import failed_auth_blocked, note_failed_auth
from django_wp_ai.security import legacy, stream_tokens
from django_wp_ai.security.authenticate import count_failure, identifying
from django_wp_ai.security.envelope import Envelope

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


class SiteAuth(AuthBase):
    """Resolves a Principal from whatever proof the request carries; raises, never returns None.

    ``stream`` marks the routes on which a one-time stream token counts, ``repeatable`` those that know by themselves
    what comes again, ``bodiless`` those that say it all with their address. The body is parsed here, after the proof,
    so that nobody unknown makes us work on it; and a call that was answered already goes no further than this.
    """

    openapi_type: str = "http"
    openapi_scheme: str = "bearer"

    def __init__(self, *, stream: bool = False, repeatable: bool = False, bodiless: bool = False) -> None:
        self.stream = stream
        self.repeatable = repeatable
        self.bodiless = bodiless
        super().__init__()

    async def __call__(self, request: HttpRequest) -> Principal:
        """Ninja's hook."""
        envelope = edge.envelope(request, is_stream=self.stream, is_repeatable=self.repeatable)
        principal = await _prove(envelope)
        if principal.method == stream_tokens.METHOD:
            require_origin(request, principal)
        if request.method in BODY_METHODS:
            sent = edge.read_body(request)
            if sent or not self.bodiless:
                body.check_media_type(request)
            parsed = {} if self.bodiless and not sent else body.parse(sent)
            if principal.method in legacy.PROFILES and isinstance(parsed, dict):
                for name in legacy.BODY_FIELDS:  # they belong to the proof, not to the call
                    parsed.pop(name, None)
            if request.method == "POST":
                await idempotency.begin(request, principal, parsed)
            if self.bodiless and parsed != {}:
                raise Invalid("This call says it all with its address. Send no body, or an empty object.")
            request.wp_ai_json = parsed  # type: ignore[attr-defined]  # for the parser
        return principal


async def _prove(envelope: Envelope) -> Principal:
    """Who calls. An address that failed too often is told to wait when it fails again; a good proof always passes.

    Proofs of one address share hops, and what follows a failure is done outside of them.
    """
    wait_s = failed_auth_blocked(envelope.ip)
    try:
        return await in_company(("proofs", envelope.ip), identifying(envelope))
    except Unauthenticated as error:
        if wait_s:
            raise RateLimited("Too many failed attempts from this address.", retry_after_s=wait_s) from None
        await in_thread(_note_failure, envelope.ip, error)
        raise


def _note_failure(ip: str, error: Unauthenticated) -> None:
    count_failure(error)
    note_failed_auth(ip)


site = SiteAuth()
site_without_body = SiteAuth(bodiless=True)
site_event = SiteAuth(repeatable=True)
site_or_stream_token = SiteAuth(stream=True)


def principal_of(request: HttpRequest) -> Principal:
    """Who calls, as ``SiteAuth`` found."""
    principal: Principal = request.auth  # type: ignore[attr-defined]  # Ninja puts it there
    return principal
