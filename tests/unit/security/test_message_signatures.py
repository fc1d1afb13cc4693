"""The strict subset of RFC 9421: what is taken, what is refused, and the kept library as its oracle."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import InvalidSignature
from hypothesis import given, settings
from hypothesis import strategies as st

from django_wp_ai.exceptions import Unauthenticated
from django_wp_ai.security import message_signatures
from django_wp_ai.security.envelope import Envelope
from tests.factories import envelope
from tests.signing import content_digest, message_signature

SECRET = "a-secret-of-the-site-with-43-characters-or-so"
NOW = 1_790_000_000
BODY = b'{"prompt": "hi"}'


def signed(sent: dict[str, Any] | None = None, **signature: Any) -> Envelope:
    signature = {"body": BODY, "created": NOW, **signature}
    headers = message_signature("site-1", SECRET, **signature)
    parts = {name: signature[name] for name in ("method", "path", "query", "body") if name in signature}
    return envelope(headers, **{**parts, **(sent or {})})


def verify(request: Envelope, *, now: int = NOW, secret: str = SECRET) -> message_signatures.MessageSignature:
    signature = message_signatures.parse(request)
    message_signatures.verify(request, signature, secret.encode(), now=now, window_s=30)
    return signature


def refusal(request: Envelope, *, now: int = NOW) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        verify(request, now=now)
    assert caught.value.method == "rfc9421"
    return caught.value


def with_header(request: Envelope, name: str, value: str) -> Envelope:
    return replace(request, headers={**request.headers, name: value})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"method": "GET", "body": b"", "path": "/wp-ai/v1/models"},
        {"method": "GET", "body": b"", "query": "q=caf%C3%A9&token=a+b"},
        {"path": "/wp-ai/v1/documents/a%2Fb"},
        {"label": "sig1"},
        {"label": "*a.b-c_d*"},
        {"digest": "sha-512"},
        {"components": ("content-digest", "@query", "@path", "@method")},
        {"nonce": 'with \\"quotes\\" and \\\\'},
        {"body": b"", "method": "POST"},
    ],
    ids=str,
)
def test_a_well_signed_message_verifies(message: dict[str, Any]) -> None:
    verify(signed(**message))


def test_the_parsed_signature_names_its_parts() -> None:
    parameters = f';created={NOW};expires={NOW + 9};keyid="k";alg="hmac-sha256";nonce="a\\"b";tag="t"'
    parsed = verify(signed(parameters=parameters))
    assert (parsed.key_id, parsed.nonce, parsed.created, parsed.expires) == ("k", 'a"b', NOW, NOW + 9)
    assert parsed.components == ("@method", "@path", "@query", "content-digest")


def test_further_covered_headers_count() -> None:
    components = ("@method", "@path", "@query", "content-digest", "x-request-id", "@authority")
    headers = {"X-Request-ID": "r-1", "Host": "AI.example.org"}
    signed_base = message_signature(
        "site-1", SECRET, body=BODY, created=NOW, headers={"x-request-id": "r-1", "@authority": "ai.example.org"},
        components=components,
    )  # fmt: skip
    request = envelope({**signed_base, **headers}, body=BODY)
    verify(request)
    assert refusal(with_header(request, "x-request-id", "r-2")).reason == "signature"
    assert refusal(with_header(request, "host", "other.example.org")).reason == "signature"
    without = {name: value for name, value in request.headers.items() if name != "x-request-id"}
    assert refusal(replace(request, headers=without)).reason == "component"


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"body": b'{"prompt": "ho"}'}, "digest"),
        ({"method": "PUT"}, "signature"),
        ({"method": "post"}, "signature"),
        ({"path": "/wp-ai/v1/jobs"}, "signature"),
        ({"path": "/wp-ai/v1/chat/"}, "signature"),
        ({"path": "/wp-ai/v1/%63hat"}, "signature"),
        ({"query": "stream=1"}, "signature"),
    ],
)
def test_a_signature_over_something_else_is_refused(sent: dict[str, Any], reason: str) -> None:
    assert refusal(signed(sent)).reason == reason


def test_a_signature_by_another_secret_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        verify(signed(), secret="another-secret-of-another-site-with-43-chars")


@pytest.mark.parametrize("missing", ["@method", "@path", "@query", "content-digest"])
def test_each_of_the_four_components_must_be_covered(missing: str) -> None:
    components = [name for name in ("@method", "@path", "@query", "content-digest") if name != missing]
    assert f'"{missing}"' in refusal(signed(components=components)).detail


@pytest.mark.parametrize("missing", ["created", "keyid", "nonce"])
def test_each_needed_parameter_is_named_when_it_is_missing(missing: str) -> None:
    parameters = {"created": str(NOW), "keyid": '"site-1"', "alg": '"hmac-sha256"', "nonce": '"n"'}
    text = "".join(f";{name}={value}" for name, value in parameters.items() if name != missing)
    error = refusal(signed(parameters=text))
    assert (error.reason, missing in error.detail) == ("missing", True)


def test_an_empty_nonce_is_no_nonce() -> None:
    assert "nonce" in refusal(signed(nonce="")).detail


@pytest.mark.parametrize("header", ["signature", "signature-input"])
def test_each_missing_header_is_named(header: str) -> None:
    request = signed()
    rest = {name: value for name, value in request.headers.items() if name != header}
    assert refusal(replace(request, headers=rest)).detail == f"Missing header: {header}."


@pytest.mark.parametrize(
    "parameters",
    [
        f';created={NOW};keyid="site-1";nonce="n";nonce="m"',
        f';created={NOW};keyid="site-1";nonce="n";keyid="site-2"',
        f';created={NOW};created={NOW};keyid="site-1";nonce="n"',
        f';created={NOW};keyid="site-1";nonce="n";colour="red"',
        f';created={NOW};keyid="site-1";nonce="n";weight=3',
        f';created="{NOW}";keyid="site-1";nonce="n"',
        f";created={NOW};keyid=1;nonce=2",
        f';created={NOW}.5;keyid="site-1";nonce="n"',
        f';created=0{NOW};keyid="site-1";nonce="n"',
        f';created={NOW};keyid="site-1";nonce=:bg==:',
        f';created={NOW};keyid="site-1";nonce',
        f'; created={NOW};keyid="site-1";nonce="n"',
        f';created={NOW};keyid="site-1";nonce="n\\a"',
        f';created={NOW};keyid="site-1";nonce="ü"',
        f';created={NOW};keyid="site-1";nonce="n" ',
    ],
)
def test_parameters_outside_the_subset_are_refused_though_signed(parameters: str) -> None:
    request = signed(parameters=parameters)
    if parameters.endswith(" "):  # space around a header is no part of it
        assert refusal(request).reason == "signature"
    else:
        assert refusal(request).reason in {"malformed", "missing"}


def test_another_algorithm_is_refused() -> None:
    parameters = f';created={NOW};keyid="site-1";alg="rsa-v1_5-sha256";nonce="n"'
    assert refusal(signed(parameters=parameters)).reason == "algorithm"


def test_the_algorithm_may_go_unsaid() -> None:
    verify(signed(parameters=f';created={NOW};keyid="site-1";nonce="n"'))


@pytest.mark.parametrize(
    "components",
    [
        ("@method", "@method", "@path", "@query", "content-digest"),
        ("@method", "@path", "@query", "content-digest", "@scheme"),
        ("@method", "@path", "@query", "content-digest", "X-Upper"),
        ("@method", "@path", "@query", "content-digest", "x y"),
        ("@method", "@path", "@query", "content-digest", '"sf'),
    ],
)
def test_components_outside_the_subset_are_refused_though_signed(components: tuple[str, ...]) -> None:
    assert refusal(signed(components=components)).reason in {"malformed", "component"}


def test_a_component_with_a_parameter_is_refused() -> None:
    request = signed()
    value = request.headers["signature-input"].replace('"@query"', '"@query";req')
    assert refusal(with_header(request, "signature-input", value)).reason == "malformed"


def test_several_labels_are_refused() -> None:
    one, two = signed(label="one"), signed(label="two")
    joined = {name: f"{one.headers[name]}, {two.headers[name]}" for name in ("signature", "signature-input")}
    assert refusal(replace(one, headers={**one.headers, **joined})).reason == "malformed"


def test_the_label_must_be_the_same_in_both_headers() -> None:
    request = signed(label="one")
    value = request.headers["signature"].replace("one=", "two=")
    assert refusal(with_header(request, "signature", value)).reason == "malformed"


@pytest.mark.parametrize(
    "value",
    ["wpai=", "wpai=::", "wpai=:YQ:", "wpai=:YR==:", "wpai=:YQ==:;a=1", "wpai=YQ==", "wpai=:Y Q==:", "wpai=:YQ==", "x"],
)
def test_a_malformed_signature_is_refused(value: str) -> None:
    assert refusal(with_header(signed(), "signature", value)).reason in {"malformed", "signature"}


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_a_huge_header_is_refused_before_it_is_read(name: str) -> None:
    assert refusal(with_header(signed(), name, "wpai=" + "a" * 2048)).reason == "too_long"


@pytest.mark.parametrize(
    ("created", "accepted"), [(NOW - 30, True), (NOW + 30, True), (NOW - 31, False), (NOW + 31, False), (0, False)]
)
def test_the_window_is_30_seconds_each_way(created: int, accepted: bool) -> None:
    request = signed(created=created)
    if accepted:
        verify(request)
    else:
        assert refusal(request).reason in {"expired", "missing"}


def test_expires_ends_a_signature_early() -> None:
    request = signed(parameters=f';created={NOW};expires={NOW + 5};keyid="site-1";nonce="n"')
    verify(request, now=NOW + 4)
    assert refusal(request, now=NOW + 5).reason == "expired"


@pytest.mark.parametrize(
    "value",
    [
        content_digest(b"other"),
        content_digest(BODY) + ", " + content_digest(b"other", "sha-512"),
        "md5=:" + content_digest(BODY)[9:],
        "sha-256=:YQ:",
        "sha-256",
        ",",
    ],
)
def test_a_signed_digest_of_something_else_is_refused(value: str) -> None:
    assert refusal(signed(headers={"Content-Digest": value})).reason in {"digest", "malformed"}


def test_several_digests_that_all_match_verify() -> None:
    verify(signed(headers={"Content-Digest": f"{content_digest(BODY)}, {content_digest(BODY, 'sha-512')}"}))


def test_a_covered_digest_without_a_body_is_of_nothing() -> None:
    components = ("@method", "@path", "@query", "content-digest")
    request = signed(body=b"", components=components, headers={"Content-Digest": content_digest(b"")})
    verify(request)


@pytest.mark.parametrize("value", ["a\nb", "a\x00b", "a\x7fb", "\ud800", "ü"])
def test_a_covered_value_with_a_control_or_foreign_character_is_refused(value: str) -> None:
    components = ("@method", "@path", "@query", "content-digest", "x-note")
    request = signed(components=components, headers={"X-Note": "a"})
    assert refusal(with_header(request, "x-note", value)).reason == "malformed"
    assert refusal(replace(request, query=value)).reason == "malformed"


# The kept library as the oracle


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
    mutated = with_header(theirs, name, value[:position] + character + value[position + 1 :])
    if not library_accepts(mutated):
        assert not we_accept(mutated)
    for part in ("method", "path", "query", "body"):
        longer = getattr(theirs, part) + (b"X" if part == "body" else "X")
        other = replace(theirs, **{part: longer})
        assert not library_accepts(other)
        assert not we_accept(other)
