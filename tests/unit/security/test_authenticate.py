"""From a request to a Principal, with a real database and cache: what is let in, and everything that is not."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from django_wp_ai.exceptions import Forbidden
from django_wp_ai.models import Credential, Tenant
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.issue import Issued, rotate
from tests.factories import envelope, make_credential, signed
from tests.signing import (
    BODY_PROFILES,
    LEGACY_PROFILES,
)
from tests.unit.security.proofs import (
    HOSTILE,
    every_proof,
    make,
    refused,
)

pytestmark = pytest.mark.django_db


@every_proof
def test_a_valid_proof_resolves_to_its_tenant_and_rights(proof: str) -> None:
    issued, prove = make(proof, scopes=["chat", "usage"], allowed_models=["small-*"])
    principal = authenticate(prove(issued))
    assert (principal.tenant, principal.credential) == (issued.credential.tenant, issued.credential)
    assert principal.scopes == {"chat", "usage"}
    assert principal.models == ("small-*",)
    assert (principal.method, principal.ip, principal.end_user) == (proof, "203.0.113.7", "")


@every_proof
def test_use_is_noted_at_most_once_a_minute(proof: str) -> None:
    issued, prove = make(proof)
    authenticate(prove(issued))
    issued.credential.refresh_from_db()
    first = issued.credential.last_used_at
    assert first is not None
    authenticate(prove(issued))
    issued.credential.refresh_from_db()
    assert issued.credential.last_used_at == first


@every_proof
def test_a_revoked_credential_is_refused(proof: str) -> None:
    issued, prove = make(proof)
    issued.credential.revoke()
    refused(prove(issued))


@every_proof
def test_an_expired_credential_is_refused(proof: str) -> None:
    issued, prove = make(proof, expires_at=timezone.now() - timedelta(seconds=1))
    refused(prove(issued))


@every_proof
def test_a_credential_whose_time_has_not_come_is_refused(proof: str) -> None:
    issued, prove = make(proof, not_before=timezone.now() + timedelta(minutes=1))
    refused(prove(issued))


@every_proof
def test_an_inactive_tenants_credential_is_refused(proof: str) -> None:
    issued, prove = make(proof)
    Tenant.objects.filter(pk=issued.credential.tenant_id).update(is_active=False)
    refused(prove(issued))


@every_proof
def test_while_a_credential_rotates_the_old_and_the_new_are_good_and_then_only_the_new(proof: str) -> None:
    issued, prove = make(proof)
    successor = rotate(issued.credential)
    authenticate(prove(issued))
    assert authenticate(prove(successor)).credential == successor.credential
    Credential.objects.filter(pk=issued.credential.pk).update(expires_at=timezone.now())
    refused(prove(issued))
    authenticate(prove(successor))


@every_proof
def test_a_right_proof_from_a_foreign_network_is_forbidden_and_not_used_up(proof: str) -> None:
    issued, prove = make(proof, cidrs=["198.51.100.0/24", "2001:db8::/32"])
    request = prove(issued)
    parts = {name: getattr(request, name) for name in ("method", "path", "query", "body")}
    with pytest.raises(Forbidden):
        authenticate(request)
    assert authenticate(envelope(request.headers, **parts, ip="198.51.100.9")).tenant == issued.credential.tenant


@every_proof
def test_a_wrong_proof_from_a_foreign_network_is_a_wrong_proof(proof: str) -> None:
    issued, prove = make(proof, cidrs=["198.51.100.0/24"])
    refused(prove(Issued(issued.credential, issued.secret[:-1] + ("a" if issued.secret[-1] != "a" else "b"))))


@every_proof
def test_anothers_key_id_does_not_lend_its_rights(proof: str) -> None:
    mine, prove = make(proof)
    theirs, _ = make(proof)
    request = prove(Issued(theirs.credential, mine.secret.replace(mine.credential.key_id, theirs.credential.key_id)))
    if proof in BODY_PROFILES or proof == "timestamp-dot-body":  # these name no key id: the secret tells
        assert authenticate(request).tenant == mine.credential.tenant
    else:
        refused(request)


def test_a_call_without_any_proof_is_told_what_to_send() -> None:
    error = refused(envelope())
    assert (error.reason, error.detail) == ("missing", "Send a signature, a JWT or an API key.")


@pytest.mark.parametrize("header", ["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Digest x", "Bearer a b"])
def test_an_authorization_that_is_none_of_ours_is_refused(header: str) -> None:
    refused(envelope({"Authorization": header}))


@pytest.mark.parametrize("kind", ["callback", "jwt", "hmac"])
def test_a_secret_of_another_kind_is_no_api_key(kind: str) -> None:
    issued = make_credential(kind)
    refused(envelope({"X-API-Key": f"wpai_{issued.credential.key_id}_{issued.secret}"}))


# API keys


@pytest.mark.parametrize("header", ["X-API-Key", "X-Client-Key", "X-Demo-Key", "x-api-key"])
def test_an_api_key_counts_in_each_of_its_headers(header: str) -> None:
    issued = make_credential("api_key")
    assert authenticate(envelope({header: issued.secret})).tenant == issued.credential.tenant


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_an_api_key_counts_as_a_bearer_token(scheme: str) -> None:
    issued = make_credential("api_key")
    authenticate(envelope({"Authorization": f"{scheme}  {issued.secret} "}))


def test_an_api_key_is_compared_in_full() -> None:
    secret = make_credential("api_key").secret
    prefix, key_id, rest = secret.split("_", 2)
    for wrong in (secret[:-1], secret + "x", secret.upper(), f"{prefix}_{key_id}_", f"{prefix}_{key_id}", rest):
        refused(envelope({"X-API-Key": wrong}))
    refused(envelope({"X-API-Key": f"{prefix}_{make_credential('api_key').credential.key_id}_{rest}"}))
    refused(envelope({"X-API-Key": f"sk-{key_id}_{rest}"}))
    refused(envelope({"X-API-Key": f"{secret}, {secret}"}))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_in_an_api_key_is_refused(text: str) -> None:
    key_id = make_credential("api_key").credential.key_id
    refused(envelope({"X-API-Key": f"wpai_{text}_secret"}))
    refused(envelope({"X-API-Key": f"wpai_{key_id}_{text}"}))
    refused(envelope({"Authorization": f"Bearer wpai_{key_id}_{text}"}))


# Message signatures


def test_a_nonce_counts_once() -> None:
    request = signed(make_credential())
    authenticate(request)
    assert refused(request).reason == "replayed"


def test_a_nonce_belongs_to_its_credential() -> None:
    first, second = make_credential(), make_credential()
    assert authenticate(signed(first, nonce="same")).credential == first.credential
    assert authenticate(signed(second, nonce="same")).credential == second.credential


def test_a_nonce_that_came_with_a_wrong_signature_is_still_good() -> None:
    issued = make_credential()
    assert refused(signed(issued, nonce="n", sent={"path": "/wp-ai/v1/jobs"})).reason == "signature"
    assert refused(signed(issued, nonce="n", sent={"body": b"{}"})).reason == "digest"
    authenticate(signed(issued, nonce="n"))


@pytest.mark.parametrize("shift_s", [-40, 40, -86400])
def test_an_old_or_future_message_is_refused(shift_s: int) -> None:
    assert refused(signed(make_credential(), created=int(time.time()) + shift_s)).reason == "expired"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_key_id_in_a_message_signature_is_refused(text: str) -> None:
    covered = '("@method" "@path" "@query" "content-digest")'
    signature_input = f'wpai={covered};created={int(time.time())};keyid="{text}";nonce="n"'
    refused(envelope({"Signature-Input": signature_input, "Signature": "wpai=:YQ==:"}))


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_a_credential_of_a_legacy_profile_signs_no_messages(profile: str) -> None:
    assert refused(signed(make_credential(profile=profile))).reason == "unknown_key"


@pytest.mark.parametrize("kind", ["jwt", "callback"])
def test_a_credential_of_another_kind_signs_no_messages(kind: str) -> None:
    assert refused(signed(make_credential(kind))).reason == "unknown_key"


def test_a_broken_signature_is_not_made_good_by_another_proof() -> None:
    key = make_credential("api_key")
    request = signed(make_credential(), sent={"query": "a=1"})
    refused(envelope({**request.headers, "X-API-Key": key.secret}, query="a=1"))
