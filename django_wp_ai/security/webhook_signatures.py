"""Standard Webhooks 1.0 (standardwebhooks.com): how a callback to a site is signed, and how a receiver verifies one."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Mapping, Sequence

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security.secrets import CALLBACK_PREFIX

METHOD = "standard-webhooks"
TOLERANCE_S = 300
SECRET_BYTES = range(24, 65)
MAX_HEADER = 4096

# No dot: the signed text is joined with dots, so one in the id would let two messages have one signature.
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}", re.ASCII)
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def sign(body: bytes, secrets: Sequence[str], *, message_id: str, timestamp: int) -> dict[str, str]:
    """The three headers of one attempt, with a signature for each secret (two while one is rotated).

    ``timestamp`` is in Unix seconds, of this attempt; ``message_id`` stays the same on every attempt. Raises ValueError
    for an id or secret that the standard does not allow.
    """
    if not _ID.fullmatch(message_id):
        raise ValueError("A webhook id is 1 to 255 letters, digits, hyphens and underscores.")
    if not secrets:
        raise ValueError("A webhook needs a secret.")
    signatures = " ".join(_signature(secret, message_id, str(timestamp), body) for secret in secrets)
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signatures}


def verify(body: bytes, secrets: Sequence[str], headers: Mapping[str, str], *, now: int) -> None:
    """Raise Unauthenticated unless one signature is by one of ``secrets`` and fresh; header names are lower-case."""
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        if not headers.get(name):
            raise Unauthenticated(f"Missing header: {name}.", reason="missing", method=METHOD)
    message_id, timestamp, given = (headers[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    if not _ID.fullmatch(message_id) or not _TIMESTAMP.fullmatch(timestamp) or len(given) > MAX_HEADER:
        raise Unauthenticated(reason="malformed", method=METHOD)
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise Unauthenticated(reason="expired", method=METHOD)
    candidates = [signature.encode("utf-8", "replace") for signature in given.split(" ")]
    for secret in secrets:
        expected = _signature(secret, message_id, timestamp, body).encode()
        if any(hmac.compare_digest(expected, candidate) for candidate in candidates):
            return
    raise Unauthenticated(reason="signature", method=METHOD)


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    digest = hmac.digest(_key(secret), f"{message_id}.{timestamp}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(digest).decode()


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(CALLBACK_PREFIX), validate=True)
    except ValueError:
        key = b""
    if not secret.startswith(CALLBACK_PREFIX) or len(key) not in SECRET_BYTES:
        raise ValueError("A webhook secret is whsec_ and 24 to 64 bytes in base64.")  # never the secret itself
    return key
