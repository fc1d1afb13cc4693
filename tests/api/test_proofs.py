"""Every way to prove who calls, through the real URLs; an address that only guesses is told to wait."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from django_wp_ai.policy import anonymous
from tests.api.conftest import MOUNT, Site
from tests.api.refusals import BODIES, check_shape
from tests.factories import make_credential
from tests.signing import LEGACY_PROFILES, fresh_claims, hs256, legacy_signature, message_signature

CALL = json.dumps({"prompt": "Hi"}).encode()


def by_signature(site: Site) -> dict[str, str]:
    hmac = site.keys.hmac
    return message_signature(hmac.credential.key_id, hmac.secret, path=f"{MOUNT}v1/chat", body=CALL)


def by_jwt(site: Site) -> dict[str, str]:
    jwt = site.keys.jwt
    return {"Authorization": f"Bearer {hs256(jwt.secret, fresh_claims(sub='42'), kid=jwt.credential.key_id)}"}


def by_api_key(site: Site) -> dict[str, str]:
    return {"X-API-Key": site.keys.api_key.secret}


@pytest.mark.parametrize("proof", [by_signature, by_jwt, by_api_key])
def test_each_proof_is_answered_and_recorded(site: Site, proof: Callable[[Site], dict[str, str]]) -> None:
    assert site.post("v1/chat", CALL, headers=proof(site)).status_code == 200

    [row] = site.usage()
    assert row.end_user == ("42" if proof is by_jwt else "")
    assert row.credential is not None
    assert row.credential.last_used_at is not None


def test_a_signature_holds_for_one_call_and_no_other(site: Site) -> None:
    headers = by_signature(site)
    assert site.post("v1/chat", CALL, headers=headers).status_code == 200
    check_shape(site.post("v1/chat", CALL, headers=headers), "v1/chat", 401, "unauthenticated")
    for path, body in (("v1/chat?a=1", CALL), ("v1/chat/stream", CALL), ("v1/chat", CALL.replace(b"Hi", b"Ho"))):
        check_shape(site.post(path, body, headers=by_signature(site)), path, 401, "unauthenticated")


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_each_older_signature_is_answered_and_its_own_fields_belong_to_the_proof(site: Site, profile: str) -> None:
    secret = make_credential("hmac", tenant=site.tenant, profile=profile).secret
    fields = {"timestamp": int(time.time()), "site_id": site.tenant.slug}
    for path in ("v1/chat", "v1/chat/completions", "v1/messages"):
        body = json.dumps({**BODIES[path], **fields}).encode()
        headers = legacy_signature(profile, secret, body, site_id=site.tenant.slug)
        assert site.post(path, body, headers=headers).status_code == 200
    assert len(site.usage()) == 3


def test_those_fields_are_unknown_to_any_other_proof(site: Site) -> None:
    check_shape(site.post("v1/chat", {"prompt": "Hi", "timestamp": 1}), "v1/chat", 422, "invalid")


def test_who_only_guesses_is_told_to_wait_and_a_good_proof_always_passes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    address: dict[str, Any] = {"REMOTE_ADDR": "203.0.113.99"}
    monkeypatch.setattr(anonymous, "_blocked_until_s", {"203.0.113.99/32": time.monotonic() + 60})
    refused = site.post("v1/chat", CALL, headers={"X-API-Key": "wpai_no_no"}, **address)

    check_shape(refused, "v1/chat", 429, "rate_limited")
    assert int(refused["Retry-After"]) > 0
    assert site.post("v1/chat", CALL, **address).status_code == 200
