"""The strict subset of RFC 9421: what is taken, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

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
