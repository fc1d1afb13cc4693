"""What a kept RFC 9421 library signs, we accept; what it refuses, we refuse."""

from __future__ import annotations

from dataclasses import replace

from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security import message_signatures
from django_wp_ai.security.envelope import Envelope
from tests.factories import envelope
from tests.signing import message_signature

SECRET = "a-secret-of-the-site-with-43-characters-or-so"


class Keys(HTTPSignatureKeyResolver):
    def resolve_public_key(self, key_id: str) -> bytes:
        return SECRET.encode()

    resolve_private_key = resolve_public_key


class Message:
    def __init__(self, request: Envelope, headers: dict[str, str]) -> None:
        self.method = request.method
        self.url = f"https://ai.example.org{request.path}" + (f"?{request.query}" if request.query else "")
        self.headers = headers


def library_signs(request: Envelope, *, label: str, nonce: str) -> Envelope:
    message = Message(request, {})
    HTTPMessageSigner(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys()).sign(
        message,
        key_id="site-1",
        nonce=nonce,
        label=label,
        body=request.body,
        include_alg=True,
        covered_component_ids=("@method", "@path", "@query", "content-digest"),
    )
    return envelope(message.headers, method=request.method, path=request.path, query=request.query, body=request.body)


def library_accepts(request: Envelope) -> bool:
    verifier = HTTPMessageVerifier(signature_algorithm=algorithms.HMAC_SHA256, key_resolver=Keys())
    try:
        verifier.verify(Message(request, dict(request.headers)), body=request.body)
    except InvalidSignature:
        return False
    return True


def we_accept(request: Envelope) -> bool:
    try:
        signature = message_signatures.parse(request)
        message_signatures.verify(request, signature, SECRET.encode(), now=signature.created, window_s=0)
    except Unauthenticated:
        return False
    return True


SEGMENT = st.text("abcXYZ019-._~", min_size=1, max_size=8)
MESSAGES = st.builds(
    envelope,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    path=st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts)),
    query=st.lists(st.tuples(SEGMENT, SEGMENT), max_size=2).map(lambda pairs: "&".join("=".join(p) for p in pairs)),
    body=st.binary(min_size=1, max_size=64),
)
NONCES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20)
LABELS = st.sampled_from(["wpai", "sig1", "a-b.c_d*"])


@settings(max_examples=40, deadline=None)
@given(request=MESSAGES, label=LABELS, nonce=NONCES)
def test_what_the_library_signs_we_accept(request: Envelope, label: str, nonce: str) -> None:
    theirs = library_signs(request, label=label, nonce=nonce)
    assert we_accept(theirs)
    assert message_signatures.parse(theirs).nonce == nonce


@settings(max_examples=40, deadline=None)
@given(request=MESSAGES, label=LABELS)
def test_what_a_client_signs_the_library_accepts_too(request: Envelope, label: str) -> None:
    parts = {"method": request.method, "path": request.path, "query": request.query, "body": request.body}
    headers = message_signature("site-1", SECRET, label=label, **parts)  # type: ignore[arg-type]  # as built above
    ours = envelope(headers, **parts)
    assert we_accept(ours)
    assert library_accepts(ours)


@settings(max_examples=60, deadline=None)
@given(request=MESSAGES, data=st.data())
def test_what_the_library_refuses_we_refuse(request: Envelope, data: st.DataObject) -> None:
    theirs = library_signs(request, label="wpai", nonce="n")
    name = data.draw(st.sampled_from(["signature", "signature-input", "content-digest"]))
    value = theirs.headers[name]
    position = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
    mutated = replace(theirs, headers={**theirs.headers, name: value[:position] + character + value[position + 1 :]})
    if not library_accepts(mutated):
        assert not we_accept(mutated)
    for part in ("method", "path", "query", "body"):
        longer = getattr(theirs, part) + (b"X" if part == "body" else "X")
        other = replace(theirs, **{part: longer})
        assert not library_accepts(other)
        assert not we_accept(other)
