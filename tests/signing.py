"""What a client does to sign a call, written from the wire's description alone: no code of the package is used."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets as random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

BODY_PROFILES = ("wp-signature", "ai-signature", "ai-signature-timestamp", "x-sig", "x-sign", "x-aisig")
LEGACY_PROFILES = (*BODY_PROFILES, "timestamp-dot-body", "site-id")


def hmac_sha256(secret: str, message: bytes) -> bytes:
    """HMAC-SHA256 with the secret's characters as the key."""
    return hmac.new(secret.encode(), message, hashlib.sha256).digest()


def base64_text(data: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(data).decode()


# HTTP Message Signatures (RFC 9421)


def content_digest(body: bytes, algorithm: str = "sha-256") -> str:
    """The value of ``Content-Digest`` (RFC 9530)."""
    digest = hashlib.new(algorithm.replace("-", ""), body).digest()
    return f"{algorithm}=:{base64_text(digest)}:"


def message_signature(
    key_id: str,
    secret: str,
    *,
    method: str = "POST",
    path: str = "/wp-ai/v1/chat",
    query: str = "",
    body: bytes = b"",
    created: int | None = None,
    nonce: str | None = None,
    label: str = "wpai",
    components: Sequence[str] | None = None,
    parameters: str | None = None,
    headers: Mapping[str, str] | None = None,
    digest: str = "sha-256",
) -> dict[str, str]:
    """All headers of a signed call; ``headers`` are further ones that ``components`` may cover."""
    sent = dict(headers or {})
    if body:
        sent.setdefault("Content-Digest", content_digest(body, digest))
    if components is None:
        components = ("@method", "@path", "@query", *(("content-digest",) if body else ()))
    if parameters is None:
        nonce = random.token_urlsafe(12) if nonce is None else nonce
        created = int(time.time()) if created is None else created
        parameters = f';created={created};keyid="{key_id}";alg="hmac-sha256";nonce="{nonce}"'
    covered = "(" + " ".join(f'"{name}"' for name in components) + ")" + parameters
    derived = {"@method": method, "@path": path, "@query": "?" + query}
    fields = {name.lower(): value for name, value in sent.items()}
    lines = [f'"{name}": {derived[name] if name in derived else fields.get(name, "")}' for name in components]
    base = "\n".join([*lines, f'"@signature-params": {covered}'])
    sent["Signature-Input"] = f"{label}={covered}"
    sent["Signature"] = f"{label}=:{base64_text(hmac_sha256(secret, base.encode()))}:"
    return sent


# The older signatures


def legacy_signature(
    profile: str, secret: str, body: bytes, *, timestamp: int | str | None = None, site_id: str = "site-1"
) -> dict[str, str]:
    """The headers of one profile."""
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    over_body = hmac_sha256(secret, body)
    match profile:
        case "wp-signature":
            return {"X-WP-Signature": over_body.hex()}
        case "ai-signature":
            return {"X-AI-Signature": base64_text(over_body)}
        case "ai-signature-timestamp":
            return {"X-AI-Signature": base64_text(over_body), "X-AI-Timestamp": stamp}
        case "timestamp-dot-body":
            signature = hmac_sha256(secret, stamp.encode() + b"." + body).hex()
            return {"X-Signature": f"sha256={signature}", "X-Timestamp": stamp}
        case "site-id":
            return {
                "X-Site-ID": site_id,
                "X-Timestamp": stamp,
                "X-Signature": hmac_sha256(secret, body + stamp.encode()).hex(),
                "X-Client-Request-ID": random.token_hex(8),
            }
        case "x-sig":
            return {"X-Sig": f"sha256={base64_text(over_body)}"}
        case "x-sign":
            return {"X-Sign": over_body.hex()}
        case "x-aisig":
            return {"X-AISig": over_body.hex()}
    raise ValueError(f"No such profile: {profile}.")


# JSON Web Tokens (RFC 7519)


def base64url(data: bytes) -> str:
    """URL-safe base64 without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(header: Mapping[str, Any], claims: Any, sign: Callable[[bytes], bytes]) -> str:
    """A compact JWT of whatever header and claims; a ``str`` or ``bytes`` of claims goes in as it is."""
    payload = claims if isinstance(claims, (str, bytes)) else json.dumps(claims)
    parts = [json.dumps(header).encode(), payload.encode() if isinstance(payload, str) else payload]
    message = ".".join(base64url(part) for part in parts)
    return f"{message}.{base64url(sign(message.encode()))}"


def fresh_claims(**claims: Any) -> dict[str, Any]:
    """``iat`` now and ``exp`` in a minute, and what is given; ``None`` leaves a claim out."""
    now = int(time.time())
    merged = {"iat": now, "exp": now + 60, **claims}
    return {name: value for name, value in merged.items() if value is not None}


def hs256(secret: str, claims: Any, **header: Any) -> str:
    """A token signed with a shared secret."""
    return token({"alg": "HS256", "typ": "JWT", **header}, claims, lambda message: hmac_sha256(secret, message))


def signed_by(key: PrivateKey, claims: Any, **header: Any) -> str:
    """A token signed with a private key: RS256, ES256 or EdDSA, as the key is."""

    def sign(message: bytes) -> bytes:
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(message, PKCS1v15(), SHA256())
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(message)
        r, s = decode_dss_signature(key.sign(message, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    names = {rsa.RSAPrivateKey: "RS256", ec.EllipticCurvePrivateKey: "ES256", ed25519.Ed25519PrivateKey: "EdDSA"}
    algorithm = next(name for kind, name in names.items() if isinstance(key, kind))
    return token({"alg": algorithm, "typ": "JWT", **header}, claims, sign)


# Events of vendors


def event_headers(secret: str, body: bytes, *, event_id: str = "evt_1", timestamp: int | None = None) -> dict[str, str]:
    """The three headers of Standard Webhooks, as vendors sign their events."""
    stamp = str(int(time.time()) if timestamp is None else timestamp)
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {"webhook-id": event_id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{base64_text(digest)}"}
