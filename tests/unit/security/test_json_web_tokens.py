"""JWTs of sites: the algorithm that the credential pins, the times, and every way to lie about them."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from django_wp_ai.security import json_web_tokens
from django_wp_ai.security.json_web_tokens import verify
from tests.factories import TenantFactory, make_credential, public_pem
from tests.signing import PrivateKey, base64url, fresh_claims, hmac_sha256, hs256, signed_by, token
from tests.unit.security.proofs import jwt_by, jwt_refused

pytestmark = pytest.mark.django_db

RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()
PRIVATE = pytest.mark.parametrize("key", [RSA_KEY, EC_KEY, ED_KEY], ids=["RS256", "ES256", "EdDSA"])


@PRIVATE
def test_a_registered_public_key_verifies_its_tokens(key: PrivateKey) -> None:
    issued = make_credential("public_key", public_key=public_pem(key))
    assert verify(signed_by(key, fresh_claims(), kid=issued.credential.key_id)).credential == issued.credential


@PRIVATE
def test_a_public_key_is_no_shared_secret(key: PrivateKey) -> None:
    pem = public_pem(key)
    issued = make_credential("public_key", public_key=pem)
    kid = issued.credential.key_id
    for secret in (pem, pem.strip(), issued.credential.public_key):
        for algorithm in ("HS256", "RS256", "ES256", "EdDSA"):
            forged = token({"alg": algorithm, "kid": kid}, fresh_claims(), lambda m, s=secret: hmac_sha256(s, m))
            assert jwt_refused(forged).reason == "signature"


@PRIVATE
def test_another_private_key_does_not_count(key: PrivateKey) -> None:
    issued = make_credential("public_key", public_key=public_pem(key))
    others = [rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1()), RSA_KEY, EC_KEY, ED_KEY]
    for other in others:
        if other is not key:
            jwt_refused(signed_by(other, fresh_claims(), kid=issued.credential.key_id))


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "nOnE", "", "HS384", "RS256", "ES256", "EdDSA", None, 1, []]
)
def test_the_token_does_not_choose_the_algorithm(algorithm: Any) -> None:
    issued = make_credential("jwt")
    header = {"alg": algorithm, "kid": issued.credential.key_id}
    jwt_refused(token(header, fresh_claims(), lambda _: b""))
    jwt_refused(token(header, fresh_claims(), lambda message: hmac_sha256(issued.secret, message)))


def test_hs384_with_the_right_secret_is_still_the_wrong_algorithm() -> None:
    issued = make_credential("jwt")
    header = {"alg": "HS384", "kid": issued.credential.key_id}
    jwt_refused(
        token(header, fresh_claims(), lambda message: hmac.digest(issued.secret.encode(), message, hashlib.sha384))
    )


@pytest.mark.parametrize(
    "header",
    [
        {"crit": ["exp"]},
        {"crit": ["b64"], "b64": False},
        {"b64": False},
        {"zip": "DEF"},
        {"jku": "https://evil.example"},
    ],
)
def test_header_extensions_change_nothing_or_are_refused(header: dict[str, Any]) -> None:
    issued = make_credential("jwt")
    text = jwt_by(issued, header=header)
    if "crit" in header or "b64" in header:
        jwt_refused(text)
    else:
        assert verify(text).credential == issued.credential


def test_a_key_inside_the_token_is_not_used() -> None:
    issued = make_credential("jwt")
    jwk = {"kty": "oct", "k": base64url(b"attackers-own-secret-attackers-own-secret")}
    header = {"alg": "HS256", "kid": issued.credential.key_id, "jwk": jwk}
    forged = token(header, fresh_claims(), lambda m: hmac_sha256("attackers-own-secret-attackers-own-secret", m))
    assert jwt_refused(forged).reason == "signature"


# Finding the credential


def test_the_credential_is_found_by_kid_or_issuer_or_site_or_slug() -> None:
    tenant = TenantFactory.create(slug="blog", site_url="https://blog.example.org/wp")
    issued = make_credential("jwt", tenant=tenant)
    make_credential("jwt", tenant=TenantFactory.create())
    for claims in (
        {"iss": "https://blog.example.org/wp"},
        {"iss": "HTTPS://Blog.Example.ORG/wp/"},
        {"site": "https://blog.example.org/wp"},
        {"iss": "https://unknown.example", "site": "https://blog.example.org/wp"},
        {"iss": "https://unknown.example", "sub": "blog"},
        {"sub": "blog"},
    ):
        assert verify(hs256(issued.secret, fresh_claims(**claims))).credential == issued.credential
        assert verify(hs256(issued.secret, fresh_claims(**claims), kid="theirs-1")).credential == issued.credential
    assert jwt_refused(hs256(issued.secret, fresh_claims(sub="7"))).reason == "signature"
    assert jwt_refused(hs256(issued.secret, fresh_claims(iss="https://blog.example.org"))).reason == "signature"


def test_several_live_credentials_of_a_site_are_tried() -> None:
    tenant = TenantFactory.create(slug="blog")
    issued = [make_credential("jwt", tenant=tenant) for _ in range(3)]
    issued_public = make_credential("public_key", tenant=tenant, public_key=public_pem(ED_KEY))
    for one in issued:
        assert verify(hs256(one.secret, fresh_claims(sub="blog"))).credential == one.credential
    assert verify(signed_by(ED_KEY, fresh_claims(sub="blog"))).credential == issued_public.credential


def test_the_kid_of_another_tenant_finds_a_secret_that_does_not_fit() -> None:
    mine, theirs = make_credential("jwt"), make_credential("jwt")
    assert jwt_refused(hs256(mine.secret, fresh_claims(), kid=theirs.credential.key_id)).reason == "signature"
    slug, url = theirs.credential.tenant.slug, theirs.credential.tenant.site_url
    assert jwt_refused(hs256(mine.secret, fresh_claims(sub=slug, iss=url))).reason == "signature"


def test_the_kid_of_another_kind_is_not_used() -> None:
    for kind in ("hmac", "callback", "api_key"):
        issued = make_credential(kind)
        jwt_refused(hs256(issued.secret, fresh_claims(), kid=issued.credential.key_id))
        jwt_refused(hs256(issued.credential.secret_hash, fresh_claims(), kid=issued.credential.key_id))
        jwt_refused(hs256(issued.secret, fresh_claims(sub=issued.credential.tenant.slug)))


@pytest.mark.parametrize(
    "text",
    ["../../etc/passwd", "' OR 1=1 --", "a\x00b", "\ud800", "ü", "a" * 3000, "", " ", "https://[", "http://\x00"],
)
def test_hostile_names_find_nothing(text: str) -> None:
    issued = make_credential("jwt")
    jwt_refused(hs256(issued.secret, fresh_claims(), kid=text))
    for claim in ("iss", "site", "sub"):
        jwt_refused(hs256(issued.secret, fresh_claims(**{claim: text})))


@pytest.mark.parametrize("kid", [1, None, True, [], {"a": 1}])
def test_a_kid_that_is_no_text_finds_nothing(kid: Any) -> None:
    jwt_refused(hs256(make_credential("jwt").secret, fresh_claims(), kid=kid))


# Broken tokens


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        "\x00.\x00.\x00",
        "\ud800",
        "ü.ü.ü",
        "eyJhbGciOiJub25lIn0..",
        " ",
    ],
)
def test_what_is_no_token_is_malformed(text: str) -> None:
    assert jwt_refused(text).reason == "malformed"


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    assert jwt_refused("a" * (json_web_tokens.MAX_TOKEN + 1)).reason == "too_long"


@pytest.mark.parametrize(
    "payload",
    ["", "[]", "1", "null", '"text"', "{", '{"exp": NaN, "iat": 1}', "\xff", '{"a":' * 900, "[" * 3000, b"\xff\xfe{}"],
)
def test_a_payload_that_is_no_object_is_refused(payload: Any) -> None:
    issued = make_credential("jwt")
    jwt_refused(
        token({"alg": "HS256", "kid": issued.credential.key_id}, payload, lambda m: hmac_sha256(issued.secret, m))
    )


def test_a_deeply_nested_header_is_refused() -> None:
    parts = [b"[" * 3000, json.dumps(fresh_claims()).encode(), b"signature"]
    assert jwt_refused(".".join(base64url(part) for part in parts)).reason == "malformed"


def test_a_changed_byte_anywhere_breaks_a_token() -> None:
    text = jwt_by(make_credential("jwt"), sub="7")
    last = len(text) - 1  # its lowest bits are padding: not signed, and not read
    for position, character in enumerate(text[:last]):
        jwt_refused(text[:position] + ("A" if character != "A" else "B") + text[position + 1 :])
