"""From a request's proof to a Principal: the only way in."""

from __future__ import annotations

import time
from functools import lru_cache

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Forbidden, Unauthenticated
from django_wp_ai.models import AuthFailureCount, Credential
from django_wp_ai.security import (
    credentials,
    json_web_tokens,
    legacy,
    message_signatures,
    nonces,
    secrets,
    stream_tokens,
)
from django_wp_ai.security.client_ip import is_within
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.together import Steps, alone

API_KEY_HEADERS = ("x-api-key", "x-client-key", "x-demo-key")


def authenticate(envelope: Envelope) -> Principal:
    """Blocking: resolve who calls. Raises Unauthenticated (counted) or Forbidden for a network that is not allowed."""
    try:
        return alone(identifying(envelope))
    except Unauthenticated as error:
        count_failure(error)
        raise


def count_failure(error: Unauthenticated) -> None:
    """Blocking: note a failure for who looks after this installation."""
    AuthFailureCount.objects.add(method=error.method, reason=error.reason)


def identifying(envelope: Envelope) -> Steps[Principal]:
    """As ``authenticate`` in steps, but a failure leaves no trace."""
    principal = yield from _resolving(envelope)
    if principal.credential is not None:
        principal.credential.touch()
    return principal


def _resolving(envelope: Envelope) -> Steps[Principal]:
    if envelope.header("signature-input") or envelope.header("signature"):
        return (yield from _by_message_signature(envelope))
    if authorization := envelope.header("authorization"):
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() == "bearer":
            return _by_bearer(envelope, token.strip())
    for name in API_KEY_HEADERS:
        if key := envelope.header(name):
            return _by_api_key(envelope, key)
    if profile := legacy.detect(envelope):
        return _by_legacy_signature(envelope, profile)
    if envelope.token and envelope.is_stream:
        return _by_stream_token(envelope, envelope.token)
    raise Unauthenticated("Send a signature, a JWT or an API key.", reason="missing")


def _by_bearer(envelope: Envelope, token: str) -> Principal:
    if token.startswith(secrets.API_KEY_PREFIX):
        return _by_api_key(envelope, token)
    if token.startswith(stream_tokens.PREFIX):
        return _by_stream_token(envelope, token)
    return _by_jwt(envelope, token)


def _by_message_signature(envelope: Envelope) -> Steps[Principal]:
    method = message_signatures.METHOD
    signature = message_signatures.parse(envelope)
    credential = credentials.by_key_id(signature.key_id, kinds=(Credential.Kind.HMAC,))
    if credential is None or credential.profile != Credential.Profile.RFC9421:
        raise Unauthenticated(reason="unknown_key", method=method)
    window_s = settings.signature_window_s
    message_signatures.verify(envelope, signature, _secret(credential), now=int(time.time()), window_s=window_s)
    _require_network(envelope, credential)
    if not (yield from nonces.spending(f"{method}:{credential.pk}", signature.nonce, ttl_s=2 * window_s + 2)):
        raise Unauthenticated(reason="replayed", method=method)
    return _principal(envelope, credential, method=method)


def _by_jwt(envelope: Envelope, token: str) -> Principal:
    verified = json_web_tokens.verify(token)
    credential, method = verified.credential, json_web_tokens.METHOD
    if verified.for_stream:
        if not envelope.is_stream:
            raise Unauthenticated(reason="wrong_route", method=method)
        lifetime_s = credential.max_lifetime_s or settings.jwt_max_lifetime_s
        ttl_s = lifetime_s + 2 * settings.jwt_leeway_s + 2  # times are whole seconds, rounded down
        if not nonces.spend(f"jwt-stream:{credential.pk}", verified.jti, ttl_s=ttl_s):
            raise Unauthenticated(reason="replayed", method=method)
    else:
        _require_network(envelope, credential)
    return _principal(
        envelope,
        credential,
        method=stream_tokens.METHOD if verified.for_stream else method,
        end_user=verified.subject,
        roles=verified.roles,
        jti=verified.jti,
    )


def _by_api_key(envelope: Envelope, key: str) -> Principal:
    prefix, _, rest = key.strip().partition("_")
    key_id, _, secret = rest.partition("_")
    credential = None
    if f"{prefix}_" == secrets.API_KEY_PREFIX and secret:
        credential = credentials.by_key_id(key_id, kinds=(Credential.Kind.API_KEY,))
    if credential is None or not secrets.matches(secret, credential.secret_hash):
        raise Unauthenticated(reason="unknown_key", method="api_key")
    _require_network(envelope, credential)
    return _principal(envelope, credential, method="api_key")


def _by_stream_token(envelope: Envelope, token: str) -> Principal:
    method = stream_tokens.METHOD
    if not envelope.is_stream:
        raise Unauthenticated(reason="wrong_route", method=method)
    if not token.startswith(stream_tokens.PREFIX):
        principal = _by_jwt(envelope, token)
        if principal.method != method:
            raise Unauthenticated(reason="wrong_audience", method=method)
        return principal
    spent = stream_tokens.spend(token)
    return _principal(
        envelope, spent.credential, method=method, scopes=spent.scopes | {"stream"}, end_user=spent.end_user
    )


def _by_legacy_signature(envelope: Envelope, profile: legacy.Profile) -> Principal:
    profile.check_freshness(envelope, now=int(time.time()))
    for credential in credentials.by_profile(profile.name, legacy.tenant_hint(envelope)):
        if profile.matches(envelope, _secret(credential)):
            break
    else:
        raise Unauthenticated(reason="signature", method=profile.name)
    _require_network(envelope, credential)
    once = "" if envelope.is_repeatable else profile.once_key(envelope)
    if once and not nonces.spend(f"{profile.name}:{credential.pk}", once, ttl_s=legacy.BODY_ONCE_S):
        raise Unauthenticated(reason="replayed", method=profile.name)
    return _principal(envelope, credential, method=profile.name)


def _require_network(envelope: Envelope, credential: Credential) -> None:
    """Refuse a foreign address once the proof holds, but before it is used up. A visitor's browser may be anywhere."""
    if credential.cidrs and not is_within(envelope.ip, tuple(credential.cidrs)):
        raise Forbidden("This credential may not be used from this address.")


_scopes = lru_cache(maxsize=256)(frozenset[str])  # hundreds of open streams share one


def _secret(credential: Credential) -> bytes:
    return secrets.decrypt(credential.secret_encrypted).encode()


def _principal(
    envelope: Envelope,
    credential: Credential,
    *,
    method: str,
    scopes: frozenset[str] | None = None,
    end_user: str = "",
    roles: tuple[str, ...] = (),
    jti: str = "",
) -> Principal:
    return Principal(
        tenant=credential.tenant,
        credential=credential,
        scopes=_scopes(tuple(credential.scopes)) if scopes is None else scopes,
        end_user=end_user,
        roles=roles,
        ip=envelope.ip,
        jti=jti,
        method=method,
        models=tuple(credential.allowed_models),
    )
