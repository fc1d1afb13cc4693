"""Factories of rows that tests need, and of the requests that prove who calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import factory
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from factory.django import DjangoModelFactory

from django_wp_ai.models import Credential, Tenant
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.security.issue import Issued, issue
from tests.signing import PrivateKey, message_signature


class TenantFactory(DjangoModelFactory[Tenant]):
    class Meta:
        model = Tenant

    slug = factory.Sequence(lambda n: f"site-{n}")
    name = factory.LazyAttribute(lambda tenant: f"Site {tenant.slug}")
    site_url = factory.LazyAttribute(lambda tenant: f"https://{tenant.slug}.example.org")


def make_credential(
    kind: str = "hmac", *, tenant: Tenant | None = None, expires_in: timedelta | None = None, **fields: Any
) -> Issued:
    """A credential with its secret in the clear; ``fields`` are those of ``issue`` and of the row (``cidrs``, …)."""
    asked = {name: fields.pop(name) for name in ("key_id", "profile", "scopes", "public_key") if name in fields}
    issued = issue(tenant or TenantFactory.create(), kind=kind, expires_in=expires_in, **asked)
    if fields:
        Credential.objects.filter(pk=issued.credential.pk).update(**fields)
        issued.credential.refresh_from_db()
    return issued


def public_pem(private: PrivateKey) -> str:
    """The public half as a site would register it."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def envelope(headers: Mapping[str, str] | None = None, **parts: Any) -> Envelope:
    """A request as the edge hands it over: ``POST /wp-ai/v1/chat`` with a small JSON body unless told otherwise."""
    defaults: dict[str, Any] = {
        "method": "POST",
        "path": "/wp-ai/v1/chat",
        "query": "",
        "body": b'{"prompt": "hi"}',
        "ip": "203.0.113.7",
    }
    lower = {name.lower(): value for name, value in (headers or {}).items()}
    return Envelope(headers=lower, **{**defaults, **parts})


def signed(issued: Issued, *, sent: Mapping[str, Any] | None = None, **signature: Any) -> Envelope:
    """A request with a message signature; ``sent`` are parts that differ from what was signed."""
    signature.setdefault("body", b'{"prompt": "hi"}')
    headers = message_signature(issued.credential.key_id, issued.secret, **signature)
    parts = {name: signature[name] for name in ("method", "path", "query", "body") if name in signature}
    return envelope(headers, **{**parts, **(sent or {})})
