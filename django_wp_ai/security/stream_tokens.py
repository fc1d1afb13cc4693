"""One-time tokens with which a visitor's browser opens one stream, without ever seeing a site's key."""

from __future__ import annotations

import secrets as random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from django.conf import settings as django_settings
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Forbidden, Invalid, Unauthenticated
from django_wp_ai.models import Credential
from django_wp_ai.security import credentials, nonces, secrets

PREFIX = "wpst_"
METHOD = "stream_token"
DEFAULT_TTL_S = 60
MAX_TOKEN = 2048


@dataclass(frozen=True, slots=True)
class StreamToken:
    """A fresh token and when it ends."""

    token: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class SpentToken:
    """A token that was just used up."""

    credential: Credential
    scopes: frozenset[str]
    end_user: str


def mint(
    credential: Credential, *, scopes: Iterable[str] = ("chat",), end_user: str = "", ttl_s: int = DEFAULT_TTL_S
) -> StreamToken:
    """A token for one request; it dies with the credential that asked for it."""
    if not 1 <= ttl_s <= settings.stream_token_max_ttl_s:
        message = f"Between 1 and {settings.stream_token_max_ttl_s} seconds."
        raise Invalid(errors=[{"field": "ttl_s", "message": message}], param="ttl_s")
    wished = set(scopes)
    if not wished <= set(credential.scopes):
        raise Forbidden("The credential lacks a scope that the token asks for.")
    expires_at = timezone.now() + timedelta(seconds=ttl_s)
    claims = {
        "kid": credential.key_id,
        "scope": sorted(wished),
        "sub": end_user,
        "exp": expires_at,
        "jti": random.token_urlsafe(16),
    }
    key = secrets.derive_key("stream-token", django_settings.SECRET_KEY)
    return StreamToken(PREFIX + jwt.encode(claims, key, algorithm="HS256"), expires_at)


def spend(token: str) -> SpentToken:
    """Verify and use up; raises Unauthenticated and nothing else."""
    claims = _claims(token.removeprefix(PREFIX))
    kinds = tuple(kind for kind in Credential.Kind.values if kind != Credential.Kind.CALLBACK)
    credential = credentials.by_key_id(claims["kid"], kinds=kinds)
    if credential is None:
        raise _refused("revoked")
    left_s = int(claims["exp"] - datetime.now(UTC).timestamp()) + 2
    if not nonces.spend("stream-token", claims["jti"], ttl_s=max(left_s, 1)):
        raise _refused("replayed")
    return SpentToken(credential, frozenset(claims["scope"]) & frozenset(credential.scopes), claims["sub"])


def _claims(token: str) -> dict[str, Any]:
    if len(token) > MAX_TOKEN:
        raise _refused("too_long")
    for secret in (django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS):
        key = secrets.derive_key("stream-token", secret)
        try:
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=["HS256"], options={"require": ["exp", "jti"]})
            return claims
        except jwt.ExpiredSignatureError:
            raise _refused("expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            continue
    raise _refused("signature")


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(reason=reason, method=METHOD)
