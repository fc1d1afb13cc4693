"""Whatever text a stranger sends, the answer is Unauthenticated and nothing else."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security import json_web_tokens, legacy, message_signatures, stream_tokens
from django_wp_ai.security.authenticate import API_KEY_HEADERS, authenticate
from django_wp_ai.security.issue import Issued
from tests.factories import TenantFactory, envelope, make_credential
from tests.signing import base64url, fresh_claims, hs256, message_signature

moderate = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

# Headers come as text; surrogates and NUL stand for what a server might let through.
TEXT = st.one_of(
    st.text(st.characters(), max_size=40),
    st.text(st.characters(categories=["Cs", "Cc"]), max_size=8),
    st.text("abz09=:;,.\"'\\()@ \t-_/+", max_size=60),
    st.sampled_from(["\x00", "a" * 10_000, "(" * 3000, ";a=1" * 2000, '"' * 2001, "\n", ",", "=", "::", "9" * 5000]),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=8,
)
CLAIM_NAMES = ("iss", "sub", "site", "aud", "exp", "iat", "nbf", "jti", "roles")
CLAIMS = st.fixed_dictionaries({}, optional=dict.fromkeys(CLAIM_NAMES, JSON))
HEADER = st.fixed_dictionaries({}, optional=dict.fromkeys(("alg", "kid", "typ", "crit", "b64", "jwk", "x5u"), JSON))
DEEP = [b"[" * 2500, b'{"a":' * 900, b"{" * 2500, b'{"kid":' + b"[" * 2000 + b"]" * 2000 + b"}"]


@pytest.fixture
def site(db: None) -> Issued:
    """A tenant that has one of everything, so that hostile text has something to find."""
    tenant = TenantFactory.create(slug="blog")
    make_credential("api_key", tenant=tenant, key_id="key")
    make_credential("hmac", tenant=tenant, key_id="site-1")
    for profile in legacy.PROFILES:
        make_credential("hmac", tenant=tenant, profile=profile)
    return make_credential("jwt", tenant=tenant, key_id="token")


@moderate
@given(signature_input=TEXT, signature=TEXT, digest=TEXT)
def test_arbitrary_message_signatures(signature_input: str, signature: str, digest: str) -> None:
    headers = {"Signature-Input": signature_input, "Signature": signature, "Content-Digest": digest}
    with pytest.raises(Unauthenticated):
        message_signatures.parse(envelope(headers))


@moderate
@given(data=st.data())
def test_signed_messages_with_arbitrary_text_in_their_parts(data: st.DataObject) -> None:
    body, created = b"{}", 1_790_000_000
    honest = message_signature("site-1", "secret", body=body, created=created, nonce="n")
    quoted = data.draw(TEXT)
    signature_input = honest["Signature-Input"].replace(
        data.draw(st.sampled_from(["@path", "wpai", "n", "site-1", str(created), "content-digest"])), quoted
    )
    request = envelope(
        {**honest, "Signature-Input": signature_input, "Content-Digest": data.draw(TEXT)},
        method=data.draw(TEXT),
        path=data.draw(TEXT),
        query=data.draw(TEXT),
        body=data.draw(st.binary(max_size=40)),
    )
    with pytest.raises(Unauthenticated):
        message_signatures.verify(
            request, message_signatures.parse(request), b"another-secret", now=created, window_s=30
        )


@moderate
@given(digest=TEXT)
def test_arbitrary_digests(digest: str) -> None:
    with pytest.raises(Unauthenticated):
        message_signatures.verify_digest(digest, b"{}")


@moderate
@given(headers=st.fixed_dictionaries(dict.fromkeys(("x-timestamp", "x-ai-timestamp", "x-site-id"), TEXT)), value=TEXT)
@pytest.mark.parametrize("profile", legacy.PROFILES.values(), ids=legacy.PROFILES)
def test_arbitrary_legacy_signatures(profile: legacy.Profile, headers: dict[str, str], value: str) -> None:
    request = envelope({**headers, profile.header: value})
    with contextlib.suppress(Unauthenticated):
        profile.check_freshness(request, now=1_790_000_000)
    assert not profile.matches(request, b"secret")
    assert isinstance(legacy.tenant_hint(request), str)


@moderate
@given(body=st.one_of(st.binary(max_size=60), st.sampled_from([*DEEP, b'{"ts": ' + b"9" * 5000 + b"}"]), JSON))
def test_arbitrary_bodies_give_a_hint_or_none(body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert isinstance(legacy.tenant_hint(envelope(body=raw)), str)


@moderate
@given(text=TEXT, header=HEADER, claims=CLAIMS, deep=st.sampled_from(DEEP))
def test_arbitrary_tokens(site: Issued, text: str, header: dict[str, Any], claims: Any, deep: bytes) -> None:
    tokens = [
        text,
        f"{text}.{text}.{text}",
        hs256("not-the-secret-of-the-site-but-as-long-as-one", claims, **header),
        hs256("not-the-secret-of-the-site-but-as-long-as-one", fresh_claims(**claims), kid="token"),
        f"{base64url(deep)}.{base64url(deep)}.x",
    ]
    for token in tokens:
        with pytest.raises(Unauthenticated):
            json_web_tokens.verify(token)


@moderate
@given(claims=CLAIMS)
@example(claims={"exp": 1e400, "iat": 0})
@example(claims={"aud": [{}], "jti": {}})
def test_signed_tokens_with_arbitrary_claims_verify_or_are_refused(site: Issued, claims: dict[str, Any]) -> None:
    for whole in (claims, fresh_claims(**claims)):
        try:
            verified = json_web_tokens.verify(hs256(site.secret, whole, kid="token"))
        except Unauthenticated:
            continue
        assert verified.credential == site.credential
        assert "\x00" not in verified.subject + verified.jti
        assert all(len(part) <= 128 for part in (verified.subject, verified.jti, *verified.roles))


@moderate
@given(text=TEXT, claims=CLAIMS)
def test_arbitrary_stream_tokens(site: Issued, text: str, claims: dict[str, Any]) -> None:
    for token in (text, stream_tokens.PREFIX + text, stream_tokens.PREFIX + hs256(site.secret, claims)):
        with pytest.raises(Unauthenticated):
            stream_tokens.spend(token)


NAMES = st.sampled_from(
    [
        "authorization",
        "signature",
        "signature-input",
        "x-timestamp",
        "x-ai-timestamp",
        "x-site-id",
        *API_KEY_HEADERS,
        *{profile.header for profile in legacy.PROFILES.values()},
    ]
)
VALUES = st.one_of(
    TEXT, TEXT.map("Bearer {}".format), TEXT.map("wpai_key_{}".format), TEXT.map("Bearer wpst_{}".format)
)


@moderate
@given(headers=st.dictionaries(NAMES, VALUES, max_size=4), token=TEXT, body=st.binary(max_size=30), path=TEXT)
def test_arbitrary_requests(site: Issued, headers: dict[str, str], token: str, body: bytes, path: str) -> None:
    for is_stream in (False, True):
        with pytest.raises(Unauthenticated):
            authenticate(envelope(headers, token=token, body=body, path=path, is_stream=is_stream))
