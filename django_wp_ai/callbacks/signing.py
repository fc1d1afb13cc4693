"""The headers that prove to a receiver who sends: Standard Webhooks, an older profile, or an Application Password."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from django_wp_ai.callbacks.profiles import BASIC, STANDARD, may_get_password
from django_wp_ai.models import Callback, Credential, Tenant
from django_wp_ai.security import legacy, secrets, webhook_signatures
from django_wp_ai.security.envelope import Envelope


class Unsigned(Exception):
    """It can't be signed; ``code`` says why and may be shown."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Proof:
    """Headers of one attempt, and what in a reply would give a secret away."""

    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def prove(callback: Callback, body: bytes, *, url: str, timestamp: int) -> Proof:
    """Blocking: sign an attempt at ``timestamp`` (Unix seconds); raises Unsigned.

    Standard Webhooks carry a signature for each live secret. The others have room for one: while a secret is rotated,
    attempts take turns with the live ones, the newest first.
    """
    tenant, name = callback.tenant, callback.profile
    if name == STANDARD:
        keys = tuple(_opened(one) for one in _live(tenant, kind=Credential.Kind.CALLBACK))
        headers = webhook_signatures.sign(body, keys, message_id=callback.message_id, timestamp=timestamp)
        return Proof(headers, keys)
    if name == BASIC:
        return _basic(callback, url)
    found = _live(tenant, kind=Credential.Kind.HMAC, profile=name)
    key = _opened(found[callback.attempts % len(found)])
    return Proof(_legacy(callback, body, key, timestamp), (key,))


def _live(tenant: Tenant, **criteria: str) -> list[Credential]:
    """The tenant's live credentials, newest first."""
    rows = Credential.objects.live().for_tenant(tenant).filter(**criteria)
    found = list(rows.order_by("-created_at", "-pk"))
    if not found:
        raise Unsigned("no_secret")
    return found


def _opened(credential: Credential) -> str:
    try:
        return secrets.decrypt(credential.secret_encrypted)
    except secrets.UndecryptableSecret:
        raise Unsigned("secret_unreadable") from None


def _basic(callback: Callback, url: str) -> Proof:
    if not may_get_password(callback.tenant, url):
        raise Unsigned("url_refused")
    found = _live(callback.tenant, kind=Credential.Kind.APP_PASSWORD)
    chosen = found[callback.attempts % len(found)]
    password = _opened(chosen)
    pair = base64.b64encode(f"{chosen.username}:{password}".encode()).decode()
    return Proof({"authorization": f"Basic {pair}", "webhook-id": callback.message_id}, (pair, password))


def _legacy(callback: Callback, body: bytes, key: str, timestamp: int) -> dict[str, str]:
    """The mirror of what ``security.legacy`` verifies; ``webhook-id`` comes beside it, for receivers that know it."""
    profile = legacy.PROFILES[callback.profile]
    headers = {profile.timestamp_header: str(timestamp)} if profile.timestamp_header else {}
    signed = Envelope("POST", "", "", headers, body)
    headers = {**headers, profile.header: profile.signature(signed, key.encode()), "webhook-id": callback.message_id}
    if callback.profile == "site-id":
        headers |= {"x-site-id": callback.tenant.slug, "x-client-request-id": callback.message_id}
    return headers
