"""The HMAC signatures of older WordPress integrations (PROTOCOL §1), each off unless a credential selects it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security.envelope import Envelope

BODY_ONCE_S = 600
BODY_FIELDS = ("timestamp", "ts", "site_id", "site")
_TIMESTAMP = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)


def _hex(digest: bytes) -> str:
    return digest.hex()


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


def _body(envelope: Envelope, _timestamp: str) -> bytes:
    return envelope.body


def _timestamp_dot_body(envelope: Envelope, timestamp: str) -> bytes:
    return timestamp.encode("utf-8", "replace") + b"." + envelope.body


def _body_then_timestamp(envelope: Envelope, timestamp: str) -> bytes:
    return envelope.body + timestamp.encode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Profile:
    """How one signature is written and how long it is fresh."""

    name: str
    header: str
    encode: Callable[[bytes], str]
    prefix: str = ""
    signed: Callable[[Envelope, str], bytes] = _body
    timestamp_header: str = ""
    timestamp_in_body: bool = False
    window_s: int = 0
    body_once: bool = False

    def signature(self, envelope: Envelope, secret: bytes) -> str:
        """The header's value for these bytes."""
        message = self.signed(envelope, envelope.header(self.timestamp_header))
        return self.prefix + self.encode(hmac.digest(secret, message, "sha256"))

    def matches(self, envelope: Envelope, secret: bytes) -> bool:
        """Constant-time comparison of the presented value with the right one."""
        return hmac.compare_digest(
            self.signature(envelope, secret).encode(), envelope.header(self.header).encode("utf-8", "replace")
        )

    def check_freshness(self, envelope: Envelope, *, now: int) -> None:
        """Refuse an old or missing timestamp, before any secret is tried; the caller spends a body that counts once."""
        stamp = self._timestamp(envelope)
        if stamp is None:
            return
        if not _TIMESTAMP.fullmatch(stamp) or abs(now - int(stamp)) > self.window_s:
            raise Unauthenticated(reason="expired", method=self.name)

    def _timestamp(self, envelope: Envelope) -> str | None:
        if self.timestamp_header:
            stamp = envelope.header(self.timestamp_header)
            if not stamp:
                raise Unauthenticated(f"Missing header: {self.timestamp_header}.", reason="missing", method=self.name)
            return stamp
        return _body_timestamp(envelope.body) if self.timestamp_in_body else None

    def once_key(self, envelope: Envelope) -> str:
        """What must not be seen again for ``BODY_ONCE_S`` seconds; empty where time alone limits replay."""
        return hashlib.sha256(envelope.body).hexdigest() if self.body_once else ""


def _body_timestamp(body: bytes) -> str | None:
    """``timestamp`` or ``ts`` of a JSON object, as text; None when the body has neither."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    stamp = value.get("timestamp", value.get("ts"))
    return None if stamp is None else str(stamp)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("wp-signature", "x-wp-signature", _hex, body_once=True),
        Profile("ai-signature", "x-ai-signature", _base64, timestamp_in_body=True, window_s=300, body_once=True),
        Profile(
            "ai-signature-timestamp",
            "x-ai-signature",
            _base64,
            timestamp_header="x-ai-timestamp",
            window_s=120,
            body_once=True,
        ),
        Profile(
            "timestamp-dot-body",
            "x-signature",
            _hex,
            prefix="sha256=",
            signed=_timestamp_dot_body,
            timestamp_header="x-timestamp",
            window_s=30,
        ),
        Profile(
            "site-id", "x-signature", _hex, signed=_body_then_timestamp, timestamp_header="x-timestamp", window_s=60
        ),
        Profile("x-sig", "x-sig", _base64, prefix="sha256=", body_once=True),
        Profile("x-sign", "x-sign", _hex, body_once=True),
        Profile("x-aisig", "x-aisig", _hex, body_once=True),
    )
}


#: Where their signatures stand.
HEADERS = frozenset(profile.header for profile in PROFILES.values())


def detect(envelope: Envelope) -> Profile | None:
    """The profile whose headers the request carries."""
    headers = envelope.headers
    if "x-wp-signature" in headers:
        return PROFILES["wp-signature"]
    if "x-ai-signature" in headers:
        return PROFILES["ai-signature-timestamp" if "x-ai-timestamp" in headers else "ai-signature"]
    if "x-signature" in headers:
        return PROFILES["site-id" if "x-site-id" in headers else "timestamp-dot-body"]
    for name in ("x-sig", "x-sign", "x-aisig"):
        if name in headers:
            return PROFILES[name]
    return None


def tenant_hint(envelope: Envelope) -> str:
    """A key id, tenant slug or site URL that the caller names, so that not every credential must be tried."""
    if hint := envelope.header("x-site-id"):
        return hint
    try:
        value = json.loads(envelope.body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(value, dict):
        return ""
    named = value.get("site_id", value.get("site", ""))
    return named if isinstance(named, str) else ""
