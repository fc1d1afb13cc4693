"""Authentication as Ninja asks for it."""

from __future__ import annotations

import re
import uuid

from django.http import HttpRequest
from ninja.security.base import AuthBase

from django_wp_ai.api import body, edge, idempotency, uploads
from django_wp_ai.api.cors import require_origin
from django_wp_ai.bridge import in_thread
from django_wp_ai.company import in_company
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, RateLimited, Unauthenticated
from django_wp_ai.models import Credential
from django_wp_ai.policy.anonymous import failed_auth_blocked, note_failed_auth
from django_wp_ai.security import legacy, stream_tokens
from django_wp_ai.security.authenticate import count_failure, identifying
from django_wp_ai.security.envelope import Envelope

BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})
_KEY_ID = re.compile(r';keyid="([^"]{1,128})"')


class SiteAuth(AuthBase):
    """Resolves a Principal from whatever proof the request carries; raises, never returns None.

    ``stream`` marks the routes on which a one-time stream token counts, ``repeatable`` those that know by themselves
    what comes again, ``bodiless`` those that say it all with their address, ``optional`` those whose body may be left
    out, ``upload`` those that take a form with a file too. The body is parsed here, after the proof, so that nobody
    unknown makes us work on it; and a call that was answered already goes no further than this.
    """

    openapi_type: str = "http"
    openapi_scheme: str = "bearer"

    def __init__(
        self,
        *,
        stream: bool = False,
        repeatable: bool = False,
        bodiless: bool = False,
        optional: bool = False,
        upload: bool = False,
    ) -> None:
        self.stream = stream
        self.repeatable = repeatable
        self.bodiless = bodiless
        self.optional = optional or bodiless
        self.upload = upload
        super().__init__()

    async def __call__(self, request: HttpRequest) -> Principal:
        """Ninja's hook."""
        has_upload = self.upload and uploads.is_form(request)
        signed = _is_signed(request) if has_upload else True
        envelope = edge.envelope(
            request, is_stream=self.stream, is_repeatable=self.repeatable, has_upload=has_upload, has_body=signed
        )
        principal = await _prove(envelope)
        if principal.method == stream_tokens.METHOD:
            require_origin(request, principal)
        if request.method in BODY_METHODS:
            await self._read(request, principal, has_upload=has_upload)
        return principal

    async def _read(self, request: HttpRequest, principal: Principal, *, has_upload: bool) -> None:
        sent = edge.read_body(request, has_upload=has_upload)  # nobody unknown sends us a file
        if has_upload:
            parsed, upload = await in_thread(uploads.read_form, request, sent)
            request.wp_ai_upload = upload  # type: ignore[attr-defined]  # for the view
        else:
            if sent or not self.optional:
                body.check_media_type(request)
            parsed = {} if self.optional and not sent else body.parse(sent)
        if principal.method in legacy.PROFILES and isinstance(parsed, dict):
            for name in legacy.BODY_FIELDS:  # they belong to the proof, not to the call
                parsed.pop(name, None)
        if request.method == "POST":
            known = uploads.named(parsed, request.wp_ai_upload) if has_upload else parsed  # type: ignore[attr-defined]
            await idempotency.begin(request, principal, known)
            if has_upload:
                parsed = {name: value for name, value in known.items() if name != uploads.FILE}
        if self.bodiless and parsed != {}:
            raise Invalid("This call says it all with its address. Send no body, or an empty object.")
        request.wp_ai_json = parsed  # type: ignore[attr-defined]  # for the parser


def _is_signed(request: HttpRequest) -> bool:
    """Whether the proof is over the body, so that it can't be checked without it."""
    names = (name.lower() for name in request.headers)
    return any(name == "signature" or name in legacy.HEADERS for name in names)


async def _prove(envelope: Envelope) -> Principal:
    """Who calls. An address that failed too often is told to wait when it fails again; a good proof always passes.

    Proofs that come together share hops, and what follows a failure is done outside of them.
    """
    wait_s = failed_auth_blocked(envelope.ip)
    try:
        return await in_company(("proofs", envelope.ip, _claimed(envelope)), identifying(envelope))
    except Unauthenticated as error:
        if wait_s:
            raise RateLimited("Too many failed attempts from this address.", retry_after_s=wait_s) from None
        await in_thread(_note_failure, envelope.ip, error)
        raise


def _claimed(envelope: Envelope) -> str:
    """Whose proof it says it is: one address may be a proxy's, and nobody is to wait for a stranger's proof.

    Where it says so in its body only, as older profiles do, it stands alone.
    """
    if signed := envelope.header("signature-input"):
        named = _KEY_ID.search(signed)
        return named[1] if named else signed
    return envelope.header("authorization") or envelope.header("x-api-key") or uuid.uuid4().hex


def _note_failure(ip: str, error: Unauthenticated) -> None:
    count_failure(error)
    note_failed_auth(ip)


site = SiteAuth()
site_without_body = SiteAuth(bodiless=True)
site_with_optional_body = SiteAuth(optional=True)
site_event = SiteAuth(repeatable=True)
site_with_upload = SiteAuth(upload=True)
site_or_stream_token = SiteAuth(stream=True)


def credential_of(request: HttpRequest) -> Credential:
    """What the caller's proof was made with."""
    credential = principal_of(request).credential
    assert credential is not None  # only work of the operator's own has none, and that comes by no request
    return credential


def principal_of(request: HttpRequest) -> Principal:
    """Who calls, as ``SiteAuth`` found."""
    principal: Principal = request.auth  # type: ignore[attr-defined]  # Ninja puts it there
    return principal
