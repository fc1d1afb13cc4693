"""Each kind of proof as a client makes it, and its refusal."""

from __future__ import annotations

import secrets as random
from collections.abc import Callable
from typing import Any

import pytest

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.security.issue import Issued
from django_wp_ai.security.json_web_tokens import verify
from tests.factories import envelope, make_credential, signed
from tests.signing import (
    LEGACY_PROFILES,
    fresh_claims,
    hs256,
    legacy_signature,
)

BODY = b'{"prompt": "hi"}'
HOSTILE = ["../../etc/passwd", "' OR 1=1 --", "a\x00b", "%00", "\ud800", "ü" * 40, "a" * 5000, "", " "]


def refused(request: Envelope) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(request)
    return caught.value


def unique_body() -> bytes:
    return f'{{"prompt": "{random.token_hex(8)}"}}'.encode()


def by_api_key(issued: Issued) -> Envelope:
    return envelope({"X-API-Key": issued.secret})


def by_jwt(issued: Issued) -> Envelope:
    token = hs256(issued.secret, fresh_claims(), kid=issued.credential.key_id)
    return envelope({"Authorization": f"Bearer {token}"})


def by_legacy(issued: Issued, *, body: bytes | None = None, hint: str = "") -> Envelope:
    body = unique_body() if body is None else body
    profile = issued.credential.profile
    return envelope(legacy_signature(profile, issued.secret, body, site_id=hint or issued.credential.key_id), body=body)


PROOFS: dict[str, tuple[dict[str, Any], Callable[[Issued], Envelope]]] = {
    "rfc9421": ({"kind": "hmac"}, signed),
    "jwt": ({"kind": "jwt"}, by_jwt),
    "api_key": ({"kind": "api_key"}, by_api_key),
    **{profile: ({"kind": "hmac", "profile": profile}, by_legacy) for profile in LEGACY_PROFILES},
}
every_proof = pytest.mark.parametrize("proof", PROOFS)


def make(proof: str, **fields: Any) -> tuple[Issued, Callable[[Issued], Envelope]]:
    wanted, prove = PROOFS[proof]
    return make_credential(**wanted, **fields), prove


def jwt_refused(text: str) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        verify(text)
    assert caught.value.method == "jwt"
    return caught.value


def jwt_by(issued: Issued, *, header: dict[str, Any] | None = None, **claims: Any) -> str:
    return hs256(issued.secret, fresh_claims(**claims), **{"kid": issued.credential.key_id, **(header or {})})
