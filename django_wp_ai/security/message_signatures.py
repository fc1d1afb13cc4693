"""HTTP Message Signatures (RFC 9421) with Content-Digest (RFC 9530): the strict subset of our wire.

Our own because the kept library takes more than 100 µs a call (``tests/benchmarks/signatures.py`` compares them);
it is the oracle in the tests. Strict: canonical serialisation only, no component parameters, HMAC-SHA256 only.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security.envelope import Envelope

METHOD = "rfc9421"
ALGORITHM = "hmac-sha256"
REQUIRED = ("@method", "@path", "@query")
MAX_HEADER = 2048

_STRING = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
_INTEGER = r"(?:0|-?[1-9][0-9]{0,14})"
_MEMBER = re.compile(
    r"(?P<label>[a-z*][a-z0-9_.*-]*)="
    r'(?P<params>\((?P<components>"[^"\\ ()]+"(?: "[^"\\ ()]+")*)\)'
    rf"(?P<rest>(?:;[a-z*][a-z0-9_.*-]*=(?:{_INTEGER}|{_STRING}))*))",
    re.ASCII,
)
_PARAM = re.compile(rf";([a-z*][a-z0-9_.*-]*)=(?:({_INTEGER})|({_STRING}))", re.ASCII)
_BYTES_MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]*={0,2}):", re.ASCII)
_FIELD_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_DIGESTS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
_INTEGERS = frozenset({"created", "expires"})
_STRINGS = frozenset({"keyid", "alg", "nonce", "tag"})


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """One parsed signature; ``params`` is its part of ``Signature-Input`` as received."""

    components: tuple[str, ...]
    params: str
    created: int
    expires: int | None
    key_id: str
    nonce: str
    signature: bytes


def parse(envelope: Envelope) -> MessageSignature:
    """Read the two headers; raises Unauthenticated for anything outside the subset."""
    for name in ("signature-input", "signature"):
        if not envelope.header(name):
            raise Unauthenticated(f"Missing header: {name}.", reason="missing", method=METHOD)
        if len(envelope.header(name)) > MAX_HEADER:
            raise _refused("too_long")
    member = _MEMBER.fullmatch(envelope.header("signature-input").strip(" \t"))
    if member is None:
        raise _refused("malformed")
    components = tuple(name.strip('"') for name in member["components"].split(" "))
    if len(set(components)) != len(components):
        raise _refused("malformed")
    params = _parameters(member["rest"])
    _require(params, components, has_body=bool(envelope.body))
    if params.get("alg", ALGORITHM) != ALGORITHM:
        raise _refused("algorithm")
    return MessageSignature(
        components=components,
        params=member["params"],
        created=int(params["created"]),
        expires=int(params["expires"]) if "expires" in params else None,
        key_id=str(params["keyid"]),
        nonce=str(params["nonce"]),
        signature=_signature_bytes(envelope.header("signature"), member["label"]),
    )


def _parameters(text: str) -> dict[str, int | str]:
    params: dict[str, int | str] = {}
    for name, integer, string in _PARAM.findall(text):
        known = _INTEGERS if integer else _STRINGS
        if name in params or name not in known:
            raise _refused("malformed")
        params[name] = int(integer) if integer else re.sub(r"\\(.)", r"\1", string[1:-1])
    return params


def _require(params: dict[str, int | str], components: tuple[str, ...], *, has_body: bool) -> None:
    needed = (*REQUIRED, "content-digest") if has_body else REQUIRED
    missing = [f'"{name}"' for name in needed if name not in components]
    missing += [name for name in ("created", "keyid", "nonce") if not params.get(name)]
    if missing:
        raise Unauthenticated(f"The signature lacks {', '.join(missing)}.", reason="missing", method=METHOD)


def _signature_bytes(header: str, label: str) -> bytes:
    member = _BYTES_MEMBER.fullmatch(header.strip(" \t"))
    if member is None or member[1] != label:
        raise _refused("malformed")
    return _decode(member[2])


def _decode(text: str) -> bytes:
    """Canonical base64 only: what decodes must encode to the same text, so no bit of it is left unsigned."""
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _refused("malformed") from None
    if base64.b64encode(value).decode() != text:
        raise _refused("malformed")
    return value


def signature_base(envelope: Envelope, signature: MessageSignature) -> bytes:
    """The bytes that were signed (RFC 9421 section 2.5)."""
    lines = []
    for name in signature.components:
        value = _component(envelope, name)
        if not (value.isascii() and value.replace("\t", " ").isprintable()):
            raise _refused("malformed")  # a line break could pass for another component
        lines.append(f'"{name}": {value}')
    lines.append(f'"@signature-params": {signature.params}')
    return "\n".join(lines).encode("ascii")


def _component(envelope: Envelope, name: str) -> str:
    if name == "@method":
        return envelope.method
    if name == "@path":
        return envelope.path or "/"
    if name == "@query":
        return "?" + envelope.query
    if name == "@authority":
        return envelope.header("host").lower()
    if _FIELD_NAME.fullmatch(name) and name in envelope.headers:
        return envelope.headers[name].strip(" \t")
    raise _refused("component")


def verify(envelope: Envelope, signature: MessageSignature, secret: bytes, *, now: int, window_s: int) -> None:
    """Check time, digest and signature (the nonce is the caller's to spend); raises Unauthenticated."""
    if abs(now - signature.created) > window_s or (signature.expires is not None and signature.expires <= now):
        raise _refused("expired")
    expected = hmac.digest(secret, signature_base(envelope, signature), "sha256")
    if not hmac.compare_digest(expected, signature.signature):
        raise _refused("signature")
    if "content-digest" in signature.components:
        verify_digest(envelope.header("content-digest"), envelope.body)


def verify_digest(header: str, body: bytes) -> None:
    """Every digest of the header must be a known one and match the body (RFC 9530 section 2)."""
    for member in header.split(","):
        parsed = _BYTES_MEMBER.fullmatch(member.strip(" \t"))
        if parsed is None or parsed[1] not in _DIGESTS:
            raise _refused("digest")
        if not hmac.compare_digest(_DIGESTS[parsed[1]](body).digest(), _decode(parsed[2])):
            raise _refused("digest")


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated(reason=reason, method=METHOD)
