"""From a request to a Principal, with a real database and cache: what is let in, and everything that is not."""

from __future__ import annotations

import secrets as random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_wp_ai.exceptions import Forbidden, Unauthenticated
from django_wp_ai.models import AuthFailureCount, Credential, SpentNonce, Tenant, UsageEvent
from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.security.issue import Issued, rotate
from tests.factories import TenantFactory, envelope, make_credential, signed
from tests.signing import BODY_PROFILES, LEGACY_PROFILES, fresh_claims, hs256, legacy_signature

pytestmark = pytest.mark.django_db

BODY = b'{"prompt": "hi"}'
HOSTILE = ["../../etc/passwd", "' OR 1=1 --", "a\x00b", "%00", "\ud800", "ü" * 40, "a" * 5000, "", " "]


def refused(request: Envelope) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        authenticate(request)
    return caught.value


def unique_body() -> bytes:
    return f'{{"prompt": "{random.token_hex(8)}"}}'.encode()


# Each kind of proof, made by a client


def by_api_key(issued: Issued) -> Envelope:
    return envelope({"X-API-Key": issued.secret})


def by_jwt(issued: Issued) -> Envelope:
    token = hs256(issued.secret, fresh_claims(), kid=issued.credential.key_id)
    return envelope({"Authorization": f"Bearer {token}"})


def by_legacy(issued: Issued, *, body: bytes | None = None, hint: str = "") -> Envelope:
    body = unique_body() if body is None else body
    profile = issued.credential.profile
    return envelope(legacy_signature(profile, issued.secret, body, site_id=hint or issued.credential.key_id), body=body)


PROOFS: dict[str, tuple[dict[str, Any], Callable[[Issued], Envelope]]] = {
    "rfc9421": ({"kind": "hmac"}, signed),
    "jwt": ({"kind": "jwt"}, by_jwt),
    "api_key": ({"kind": "api_key"}, by_api_key),
    **{profile: ({"kind": "hmac", "profile": profile}, by_legacy) for profile in LEGACY_PROFILES},
}
every_proof = pytest.mark.parametrize("proof", PROOFS)


def make(proof: str, **fields: Any) -> tuple[Issued, Callable[[Issued], Envelope]]:
    wanted, prove = PROOFS[proof]
    return make_credential(**wanted, **fields), prove


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


# Legacy signatures


@pytest.mark.parametrize("profile", BODY_PROFILES)
def test_a_body_counts_once_where_the_body_is_all_that_is_signed(profile: str) -> None:
    request = by_legacy(make_credential(profile=profile))
    authenticate(request)
    assert refused(request).reason == "replayed"


def test_the_unsigned_timestamp_of_a_signed_body_does_not_make_it_new() -> None:
    request = by_legacy(make_credential(profile="ai-signature-timestamp"))
    authenticate(request)
    later = {**request.headers, "x-ai-timestamp": str(int(time.time()) + 60)}
    assert refused(envelope(later, body=request.body)).reason == "replayed"


def test_two_sites_may_send_the_same_body() -> None:
    for _ in range(2):
        authenticate(by_legacy(make_credential(profile="wp-signature"), body=BODY))


@pytest.mark.parametrize(
    ("profile", "window_s"), [("ai-signature-timestamp", 120), ("timestamp-dot-body", 30), ("site-id", 60)]
)
def test_a_legacy_timestamp_must_be_within_its_window(profile: str, window_s: int) -> None:
    issued = make_credential(profile=profile)
    accepted_shifts = (2 - window_s, window_s - 2)
    for shift_s in (*accepted_shifts, -2 - window_s, window_s + 2):
        body = unique_body()
        request = envelope(
            legacy_signature(profile, issued.secret, body, timestamp=int(time.time()) + shift_s), body=body
        )
        if shift_s in accepted_shifts:
            authenticate(request)
        else:
            assert refused(request).reason == "expired"


@pytest.mark.parametrize("name", ["timestamp", "ts"])
@pytest.mark.parametrize(
    ("shift_s", "shape", "accepted"),
    [(0, int, True), (0, str, True), (-290, int, True), (-310, int, False), (310, int, False), (0, float, False)],
)
def test_a_timestamp_in_the_body_is_checked_when_there_is_one(
    name: str, shift_s: int, shape: type, accepted: bool
) -> None:
    issued = make_credential(profile="ai-signature")
    stamp = shape(int(time.time()) + shift_s)
    request = by_legacy(issued, body=f'{{"{name}": {repr(stamp).replace(chr(39), chr(34))}}}'.encode())
    if accepted:
        authenticate(request)
    else:
        assert refused(request).reason == "expired"


@pytest.mark.parametrize("body", [b"not json", b"[1]", b"{}", b'{"timestamp": null}', b"\xff\xfe", b"[" * 100_000])
def test_a_body_without_a_timestamp_counts_by_its_signature_alone(body: bytes) -> None:
    authenticate(by_legacy(make_credential(profile="ai-signature"), body=body))


@pytest.mark.parametrize("profile", ["timestamp-dot-body", "site-id", "ai-signature-timestamp"])
@pytest.mark.parametrize("stamp", ["", "now", "1e9", "-1", "+1790000000", "01790000000", "9" * 13, "١٧٩", "\ud800"])
def test_a_malformed_legacy_timestamp_is_refused(profile: str, stamp: str) -> None:
    request = by_legacy(make_credential(profile=profile))
    name = "x-ai-timestamp" if profile == "ai-signature-timestamp" else "x-timestamp"
    error = refused(envelope({**request.headers, name: stamp}, body=request.body))
    assert (error.reason, error.method) == ("expired" if stamp else "missing", profile)


@pytest.mark.parametrize("profile", ["timestamp-dot-body", "site-id"])
def test_a_missing_legacy_timestamp_is_named(profile: str) -> None:
    request = by_legacy(make_credential(profile=profile))
    headers = {name: value for name, value in request.headers.items() if name != "x-timestamp"}
    assert refused(envelope(headers, body=request.body)).detail == "Missing header: x-timestamp."


@pytest.mark.parametrize("selected", LEGACY_PROFILES)
@pytest.mark.parametrize("sent", LEGACY_PROFILES)
def test_a_profile_is_off_unless_the_credential_selects_it(selected: str, sent: str) -> None:
    issued = make_credential(profile=selected)
    body = unique_body()
    headers = legacy_signature(sent, issued.secret, body, site_id=issued.credential.key_id)
    if sent == selected:
        authenticate(envelope(headers, body=body))
    else:
        refused(envelope(headers, body=body))


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_the_native_credential_accepts_no_legacy_signature(profile: str) -> None:
    issued = make_credential()
    refused(envelope(legacy_signature(profile, issued.secret, BODY, site_id=issued.credential.key_id), body=BODY))


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_a_signature_in_another_encoding_is_another_signature(profile: str) -> None:
    request = by_legacy(make_credential(profile=profile))
    name = next(name for name in request.headers if name.startswith(("x-sig", "x-wp", "x-ais", "x-ai-sig")))
    value = request.headers[name]
    for other in (value.upper(), f" {value}", f"{value} ", value.rstrip("="), value + "=", f"{value}, {value}", ""):
        if other != value:
            refused(envelope({**request.headers, name: other}, body=request.body))
    authenticate(request)


def hints(issued: Issued) -> list[str]:
    tenant = issued.credential.tenant
    return [
        issued.credential.key_id,
        tenant.slug,
        tenant.site_url,
        tenant.site_url.upper() + "/",
        "unknown-site",
        "https://unknown.example",
        "",
    ]


@pytest.mark.parametrize("which", range(7))
def test_a_site_is_found_by_key_id_slug_url_or_by_its_signature(which: int) -> None:
    make_credential(profile="site-id")
    issued = make_credential(profile="site-id")
    make_credential(profile="site-id")
    body = unique_body()
    headers = legacy_signature("site-id", issued.secret, body, site_id=hints(issued)[which])
    assert authenticate(envelope(headers, body=body)).tenant == issued.credential.tenant


@pytest.mark.parametrize("name", ["site_id", "site"])
@pytest.mark.parametrize("which", range(7))
def test_a_site_is_found_by_what_the_body_names(name: str, which: int) -> None:
    issued = make_credential(profile="wp-signature")
    make_credential(profile="wp-signature")
    body = f'{{"{name}": "{hints(issued)[which]}"}}'.encode()
    assert authenticate(by_legacy(issued, body=body)).tenant == issued.credential.tenant


def test_naming_another_site_does_not_help() -> None:
    mine, theirs = make_credential(profile="site-id"), make_credential(profile="site-id")
    for hint in hints(theirs)[:4]:
        assert refused(by_legacy(mine, hint=hint)).reason == "signature"


@pytest.mark.parametrize("hint", [*HOSTILE, "https://[", "http://\x00", "https://a\u2028b"])
def test_a_hostile_site_id_is_only_no_hint(hint: str) -> None:
    issued = make_credential(profile="site-id")
    body = unique_body()
    headers = legacy_signature("site-id", issued.secret, body, site_id=hint)
    assert authenticate(envelope(headers, body=body)).tenant == issued.credential.tenant
    refused(envelope({**headers, "X-Signature": "0" * 64}, body=body))


def test_without_a_hint_only_so_many_signatures_are_tried(settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "LEGACY_CANDIDATES": 2}
    oldest, *_, newest = [make_credential(profile="x-sign") for _ in range(3)]
    authenticate(by_legacy(newest))
    assert refused(by_legacy(oldest)).reason == "signature"
    authenticate(by_legacy(oldest, body=f'{{"site": "{oldest.credential.key_id}"}}'.encode()))


def test_another_sites_lost_encryption_key_does_not_refuse_everyone(caplog: pytest.LogCaptureFixture) -> None:
    issued = make_credential(profile="x-sign")
    lost = make_credential(profile="x-sign", secret_encrypted="gAAAAA-encrypted-with-a-lost-key")
    assert authenticate(by_legacy(issued)).tenant == issued.credential.tenant
    assert lost.credential.key_id in caplog.text
    assert "ENCRYPTION_KEYS" in caplog.text


# What failure leaves behind


def test_a_refusal_leaves_a_count_and_nothing_else() -> None:
    issued = make_credential("api_key")
    before = Credential.objects.get(pk=issued.credential.pk).last_used_at
    for _ in range(3):
        refused(envelope({"X-API-Key": issued.secret + "x"}))
    refused(envelope())
    counts = {(row.method, row.reason): row.count for row in AuthFailureCount.objects.all()}
    assert counts == {("api_key", "unknown_key"): 3, ("none", "missing"): 1}
    assert Credential.objects.get(pk=issued.credential.pk).last_used_at == before
    assert (UsageEvent.objects.count(), SpentNonce.objects.count()) == (0, 0)


def test_what_is_sent_decides_no_more_rows_than_there_are_reasons() -> None:
    for text in HOSTILE:
        refused(envelope({"X-API-Key": f"wpai_{text}_{text}"}))
        refused(envelope({"Authorization": f"Bearer {text}.{text}.{text}"}))
    assert {(row.method, row.reason) for row in AuthFailureCount.objects.all()} <= {
        ("api_key", "unknown_key"),
        ("jwt", "malformed"),
        ("jwt", "too_long"),
    }


@pytest.mark.django_db(transaction=True)
def test_failures_at_the_same_time_are_all_counted() -> None:
    def fail(_: int) -> None:
        try:
            refused(envelope())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(40)))
    assert sum(row.count for row in AuthFailureCount.objects.all()) == 40


@every_proof
def test_no_secret_stands_in_an_error_or_a_repr(proof: str) -> None:
    issued, prove = make(proof)
    request = prove(issued)
    issued.credential.revoke()
    error = refused(request)
    shown = "".join([repr(error), str(error), error.detail, repr(request), repr(issued), str(issued.credential)])
    sent = [value for name, value in request.headers.items() if "sig" in name or name in {"authorization", "x-api-key"}]
    assert not [value for value in [issued.secret, *sent, request.body.decode()] if value in shown]


def test_the_title_never_says_which_part_was_wrong() -> None:
    issued = make_credential()
    wrong = [
        signed(issued, sent={"path": "/other"}),
        signed(issued, created=1),
        signed(Issued(issued.credential, "other")),
        signed(Issued(Credential(key_id="nobody"), issued.secret)),
    ]
    assert {str(refused(request)) for request in wrong} == {Unauthenticated.title}


def test_a_tenant_made_by_hand_without_a_site_url_is_found_by_no_url() -> None:
    tenant = TenantFactory.create(site_url="")
    issued = make_credential("jwt", tenant=tenant)
    for site in ("", "/", "https://"):
        token = hs256(issued.secret, fresh_claims(iss=site))
        refused(envelope({"Authorization": f"Bearer {token}"}))
