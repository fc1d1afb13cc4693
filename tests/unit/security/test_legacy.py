"""The older signatures: off unless selected, fresh or once, and found by what the caller names."""

from __future__ import annotations

import time
from typing import Any

import pytest

from django_wp_ai.security.authenticate import authenticate
from django_wp_ai.security.issue import Issued
from tests.factories import envelope, make_credential
from tests.signing import (
    BODY_PROFILES,
    LEGACY_PROFILES,
    legacy_signature,
)
from tests.unit.security.proofs import (
    BODY,
    HOSTILE,
    by_legacy,
    refused,
    unique_body,
)

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("profile", ["timestamp-dot-body", "site-id", "ai-signature-timestamp"])
def test_one_moment_has_one_spelling(profile: str) -> None:
    issued, body = make_credential(profile=profile), unique_body()
    stamp = f"0{int(time.time())}"
    headers = legacy_signature(profile, issued.secret, body, timestamp=stamp, site_id=issued.credential.key_id)
    assert refused(envelope(headers, body=body)).reason == "expired"


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
    urls = [tenant.site_url, tenant.site_url.upper() + "/", "https://unknown.example"]
    return [issued.credential.key_id, tenant.slug, *urls, "unknown-site", ""]


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
