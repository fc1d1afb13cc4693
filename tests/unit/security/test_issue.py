"""Making and rotating credentials: what is refused, and that a secret leaves once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from django.db import IntegrityError, transaction
from django.utils import timezone

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Credential
from django_wp_ai.models.credential import SCOPES
from django_wp_ai.security import secrets
from django_wp_ai.security.issue import algorithm_of, issue, issue_site_keys, normalise_public_key, rotate
from tests.factories import TenantFactory, make_credential, public_pem

pytestmark = pytest.mark.django_db


def invalid(call: Any, *args: Any, **options: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        call(*args, **options)
    return caught.value


@pytest.mark.parametrize("kind", ["hmac", "jwt", "api_key", "callback"])
def test_a_secret_is_stored_encrypted_or_hashed_and_shown_by_nothing(kind: str) -> None:
    issued = issue(TenantFactory.create(), kind=kind)
    row = Credential.objects.get(pk=issued.credential.pk)
    assert issued.secret
    assert issued.secret not in f"{issued!r}{issued.credential!r}{issued.credential}{row.__dict__}"
    if kind == "api_key":
        prefix, key_id, part = issued.secret.split("_", 2)
        assert (prefix, key_id) == ("wpai", row.key_id)
        assert secrets.matches(part, row.secret_hash)
        assert row.secret_encrypted == ""
    else:
        assert secrets.decrypt(row.secret_encrypted) == issued.secret
        assert row.secret_hash == ""


def test_the_keys_of_a_site_are_one_of_each_kind_and_not_in_the_repr() -> None:
    keys = issue_site_keys(TenantFactory.create())
    shown = keys.as_dict()
    assert set(shown) == {"hmac", "jwt", "api_key", "callback_secret"}
    for one in (keys.hmac, keys.jwt, keys.api_key, keys.callback):
        assert one.secret not in repr(keys)
    assert Credential.objects.count() == 4


@pytest.mark.parametrize(
    ("options", "param", "text"),
    [
        ({"kind": "password"}, "kind", "Unknown kind 'password'; one of hmac, jwt"),
        ({"kind": ""}, "kind", "Unknown kind"),
        ({"kind": "hmac", "scopes": ["chat", "admin", "root"]}, "scopes", "Unknown scope(s) admin, root; known: chat"),
        ({"kind": "hmac", "scopes": []}, None, "scopes"),
        ({"kind": "hmac", "profile": "x-none"}, "profile", "Unknown profile 'x-none'; one of rfc9421"),
        ({"kind": "jwt", "profile": "x-sig"}, "profile", "Only an hmac credential"),
        ({"kind": "jwt", "public_key": "pem"}, "public_key", "Only a public_key credential"),
        ({"kind": "public_key"}, "public_key", "no public key in PEM form"),
        ({"kind": "hmac", "expires_in": timedelta(0)}, "expires_in", "in the future"),
        ({"kind": "hmac", "expires_in": timedelta(days=-1)}, "expires_in", "in the future"),
        ({"kind": "hmac", "expires_in": timedelta.max}, "expires_in", "the calendar"),
        ({"kind": "api_key", "key_id": "a_b"}, "key_id", "no underscore"),
        ({"kind": "hmac", "key_id": "../a"}, "key_id", "A key id is"),
        ({"kind": "hmac", "key_id": "a" * 65}, "key_id", "A key id is"),
        ({"kind": "hmac", "key_id": "\x00"}, "key_id", "A key id is"),
        ({"kind": "hmac", "label": "a" * 101}, None, "label"),
    ],
)
def test_what_can_not_be_is_refused_and_nothing_is_stored(options: Any, param: str | None, text: str) -> None:
    error = invalid(issue, TenantFactory.create(), **options)
    assert error.param == param
    assert text in error.detail
    assert not Credential.objects.exists()


def test_a_key_id_counts_once() -> None:
    tenant = TenantFactory.create()
    issue(tenant, kind="hmac", key_id="site-1")
    with pytest.raises(IntegrityError), transaction.atomic():
        issue(TenantFactory.create(), kind="jwt", key_id="site-1")


def test_scopes_are_all_unless_named() -> None:
    assert tuple(make_credential().credential.scopes) == SCOPES
    assert make_credential(scopes=["usage", "chat", "chat"]).credential.scopes == ["chat", "usage"]


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (rsa.generate_private_key(65537, 2048), "RS256"),
        (ec.generate_private_key(ec.SECP256R1()), "ES256"),
        (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
    ],
)
def test_a_public_key_is_stored_alone_and_pins_its_algorithm(key: Any, algorithm: str) -> None:
    pem = public_pem(key)
    issued = make_credential("public_key", public_key=f"\n{pem}\n")
    assert (issued.secret, issued.credential.algorithm) == ("", algorithm)
    assert issued.credential.public_key == normalise_public_key(pem) == pem
    assert "revoking the old" in invalid(rotate, issued.credential).detail


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (rsa.generate_private_key(65537, 1024), "at least 2048 bits"),
        (ec.generate_private_key(ec.SECP384R1()), "Supported public keys"),
        (ed448.Ed448PrivateKey.generate(), "Supported public keys"),
        (dsa.generate_private_key(2048), "Supported public keys"),
    ],
)
def test_other_public_keys_are_refused(key: Any, text: str) -> None:
    assert text in invalid(algorithm_of, public_pem(key)).detail


@pytest.mark.parametrize("text", ["", "text", "\ud800", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"])
def test_what_is_no_key_is_refused(text: str) -> None:
    assert "no public key in PEM form" in invalid(normalise_public_key, text).detail


def test_a_private_key_is_refused_and_not_repeated() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    error = invalid(normalise_public_key, public_pem(key) + pem)
    assert "it stays with the site" in error.detail
    assert pem.splitlines()[1] not in str(error)


# Rotation


def test_a_successor_has_the_same_rights_and_another_secret() -> None:
    rights = {
        "scopes": ["chat"],
        "allowed_models": ["small"],
        "cidrs": ["192.0.2.0/24"],
        "audience": "a",
        "max_lifetime_s": 3600,
        "label": "shop",
    }
    old = make_credential("jwt", **rights)
    new = rotate(old.credential, overlap=timedelta(hours=1))
    assert (new.credential.tenant, new.credential.kind) == (old.credential.tenant, "jwt")
    assert {name: getattr(new.credential, name) for name in rights} == rights
    assert new.credential.key_id != old.credential.key_id
    assert new.secret != old.secret
    left = Credential.objects.get(pk=old.credential.pk).expires_at - timezone.now()
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_an_overlap_does_not_lengthen_a_life() -> None:
    old = make_credential(expires_in=timedelta(minutes=5)).credential
    ends = old.expires_at
    rotate(old, overlap=timedelta(days=1))
    assert Credential.objects.get(pk=old.pk).expires_at == ends


def test_without_overlap_the_old_one_ends_at_once() -> None:
    old = make_credential().credential
    rotate(old, overlap=timedelta(0))
    assert not Credential.objects.get(pk=old.pk).is_live()


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta.max])
def test_an_overlap_that_can_not_be_is_refused(overlap: timedelta) -> None:
    assert invalid(rotate, make_credential().credential, overlap=overlap).param == "overlap"
    assert Credential.objects.count() == 1


def test_one_that_was_revoked_since_it_was_read_is_not_rotated() -> None:
    read_before = make_credential().credential
    Credential.objects.get(pk=read_before.pk).revoke()
    assert "revoked or expired" in invalid(rotate, read_before).detail
    assert Credential.objects.count() == 1


@pytest.mark.django_db
def test_a_successor_lives_as_long_as_the_credential_it_follows() -> None:
    issued = make_credential("api_key", expires_in=timedelta(days=90))

    successor = rotate(issued.credential).credential

    assert successor.expires_at is not None
    assert timedelta(days=89) < successor.expires_at - timezone.now() <= timedelta(days=90)
    assert rotate(make_credential("api_key").credential).credential.expires_at is None
