"""JWTs of sites (RFC 7519), verified with the algorithm that the credential pins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.models import Credential
from django_wp_ai.security import credentials, secrets

METHOD = "jwt"
STREAM_AUDIENCE = "stream"
MAX_TOKEN = 8192
MAX_CLAIM = 128
MAX_ROLES = 32
_KINDS = (Credential.Kind.JWT, Credential.Kind.PUBLIC_KEY)
_MALFORMED = (jwt.PyJWTError, ValueError, TypeError, RecursionError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A token whose signature and times hold."""

    credential: Credential
    subject: str
    roles: tuple[str, ...]
    jti: str
    for_stream: bool


def verify(token: str) -> VerifiedToken:
    """Find the credential and verify; raises Unauthenticated and nothing else."""
    if len(token) > MAX_TOKEN:
        raise _refused("too_long")
    try:
        header = jwt.get_unverified_header(token)
        unverified = jwt.decode(token, options={"verify_signature": False})
    except _MALFORMED:
        raise _refused("malformed") from None
    for_stream = _audience_is_stream(unverified)
    for credential in _candidates(header, unverified):
        claims = _decode(token, credential, for_stream=for_stream)
        if claims is not None:
            return _verified(credential, claims, for_stream=for_stream)
    raise _refused("signature")


def _candidates(header: dict[str, Any], claims: dict[str, Any]) -> credentials.Found:
    """By ``kid``, else by ``iss``/``site``, else by ``sub`` equal to a slug."""
    kid = header.get("kid")
    if isinstance(kid, str):
        found = credentials.by_key_id(kid, kinds=_KINDS)
        if found is not None:
            return (found,)
    for claim in ("iss", "site"):
        site = claims.get(claim)
        if isinstance(site, str) and (by_site := credentials.by_site(site=site, slug="")):
            return by_site
    return credentials.by_site(site="", slug=_text(claims.get("sub")))


def _decode(token: str, credential: Credential, *, for_stream: bool) -> dict[str, Any] | None:
    """The claims if this credential signed them; an expired token says so, a wrong signature is None."""
    key = credential.public_key or secrets.decrypt(credential.secret_encrypted)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[credential.algorithm],
            leeway=settings.jwt_leeway_s,
            audience=credential.audience or None,
            options={
                "require": ["exp", "iat"],
                "verify_aud": bool(credential.audience) and not for_stream,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except (jwt.ExpiredSignatureError, jwt.ImmatureSignatureError):
        raise _refused("expired") from None
    except jwt.MissingRequiredClaimError as error:
        raise Unauthenticated(f"The token lacks {error.claim}.", reason="missing", method=METHOD) from None
    except _MALFORMED:
        return None
    return claims


def _audience_is_stream(claims: dict[str, Any]) -> bool:
    audience = claims.get("aud")
    return STREAM_AUDIENCE in (audience if isinstance(audience, list) else [audience])


def _verified(credential: Credential, claims: dict[str, Any], *, for_stream: bool) -> VerifiedToken:
    try:
        lifetime = float(claims["exp"]) - float(claims["iat"])
    except _MALFORMED:
        raise _refused("malformed") from None
    if not 0 < lifetime <= (credential.max_lifetime_s or settings.jwt_max_lifetime_s):
        raise _refused("lifetime")
    jti = _text(claims.get("jti"))
    if for_stream and not jti:
        raise Unauthenticated("A stream token needs a jti.", reason="missing", method=METHOD)
    subject = _text(claims.get("sub"))
    return VerifiedToken(
        credential=credential,
        subject="" if subject == credential.tenant.slug else subject,
        roles=_roles(claims.get("roles")),
        jti=jti,
        for_stream=for_stream,
    )


def _text(value: object) -> str:
    """A claim as bounded, storable text, empty when absent; numbers are common for user ids."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _refused("malformed")
    text = str(value)
    if len(text) > MAX_CLAIM or not text.isprintable():
        raise _refused("malformed")
    return text


def _roles(value: object) -> tuple[str, ...]:
    """Names of roles; PHP writes a list with a gap in its keys as an object."""
    names = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(names, list):
        return ()
    return tuple(name for name in names if isinstance(name, str) and len(name) <= MAX_CLAIM)[:MAX_ROLES]


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(reason=reason, method=METHOD)
