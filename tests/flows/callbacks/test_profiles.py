"""Older contracts: their headers by the published vectors, their bodies, and where a password may be sent."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from django_wp_ai.callbacks import outbox
from django_wp_ai.callbacks.profiles import PROFILES, SHAPES, check_password_target, check_profile
from django_wp_ai.callbacks.signing import Unsigned, prove
from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Callback, CallbackEndpoint, Credential, Tenant
from django_wp_ai.security import legacy, secrets
from django_wp_ai.security.envelope import Envelope
from django_wp_ai.security.issue import issue, rotate
from tests.factories import TenantFactory, make_credential
from tests.flows.callbacks.conftest import SetUp, deliver_due, fresh, make_due, put
from tests.flows.callbacks.jobs import ended_job
from tests.flows.callbacks.receiver import Receiver, status

VECTORS: list[dict[str, Any]] = [
    vector
    for vector in json.loads((Path(__file__).parents[2] / "vectors" / "signatures.json").read_text(encoding="utf-8"))
    if vector["profile"] in legacy.PROFILES
]
CONTEXT = {"job_id": "wp-17", "post_id": 7, "attachment_id": 9, "title": "Report", "idempotency_key": "once"}
USAGE = {"input_tokens": 30, "output_tokens": 12, "cost_usd": None, "estimated": False}
ERROR = {"code": "timeout", "message": "It took too long."}


def unsaved(tenant: Tenant, profile: str, *, attempts: int = 0) -> Callback:
    endpoint = CallbackEndpoint(tenant=tenant, url="https://blog.example.org/hook")
    return Callback(tenant=tenant, endpoint=endpoint, profile=profile, type="thing.done", attempts=attempts)


@pytest.mark.django_db
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector['profile']}-{vector['name']}")
def test_headers_are_those_of_the_published_vectors(vector: dict[str, Any]) -> None:
    tenant = TenantFactory.create(slug="site-1")
    credential = make_credential("hmac", tenant=tenant, profile=vector["profile"]).credential
    Credential.objects.filter(pk=credential.pk).update(secret_encrypted=secrets.encrypt(vector["secret"]))
    callback = unsaved(tenant, vector["profile"])
    body = vector["body"].encode()
    proof = prove(callback, body, url=callback.endpoint.url, timestamp=vector["timestamp"])
    expected = {name.lower(): value for name, value in vector["headers"].items()}
    expected |= {"webhook-id": callback.message_id}
    if "x-client-request-id" in expected:
        expected["x-client-request-id"] = callback.message_id
    assert proof.headers == expected
    assert vector["secret"] not in repr(proof)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("profile", legacy.PROFILES)
def test_what_arrives_verifies_as_the_other_direction_does(site: Tenant, receiver: Receiver, profile: str) -> None:
    issued = make_credential("hmac", tenant=site, profile=profile)
    put(site, receiver, profile=profile, data={"text": "Grüße, 世界"})
    deliver_due()
    [(headers, body)] = receiver.received
    envelope = Envelope("POST", "/hook", "", headers, body)
    assert legacy.detect(envelope) is legacy.PROFILES[profile]
    assert legacy.PROFILES[profile].matches(envelope, issued.secret.encode())


@pytest.mark.django_db
def test_a_body_of_ai_signature_has_no_time_that_would_be_taken_for_the_attempts() -> None:
    callback = outbox.job_ended(ended_job(callback_profile="ai-signature", result={"content": "hi"}))
    assert callback is not None
    body = json.loads(secrets.unseal(bytes(callback.body_sealed)))
    assert set(body) == {"type", "data"}


@pytest.mark.django_db
def test_a_profile_without_a_credential_of_its_own_is_not_signed_with_another() -> None:
    tenant = TenantFactory.create()
    for kind, profile in (("callback", ""), ("hmac", "x-sign"), ("jwt", ""), ("api_key", "")):
        make_credential(kind, tenant=tenant, profile=profile)
    make_credential("hmac", profile="x-sig")  # another site's
    with pytest.raises(Unsigned, match="no_secret"):
        prove(unsaved(tenant, "x-sig"), b"{}", url="https://blog.example.org/hook", timestamp=1)


@pytest.mark.django_db(transaction=True)
def test_while_a_legacy_secret_rotates_attempts_take_turns_the_newer_first(site: Tenant, receiver: Receiver) -> None:
    old = make_credential("hmac", tenant=site, profile="x-sig")
    new = rotate(old.credential)
    receiver.answers = [status(401)]
    put(site, receiver, profile="x-sig")
    for _ in range(3):
        deliver_due()
        make_due()
    profile = legacy.PROFILES["x-sig"]
    signed_by = [
        [issued is new for issued in (old, new) if profile.matches(envelope, issued.secret.encode())]
        for envelope in (Envelope("POST", "", "", headers, body) for headers, body in receiver.received)
    ]
    assert signed_by == [[True], [False], [True]]


def job_body(profile: str, shape: str = "", **fields: Any) -> Any:
    context = {**CONTEXT, **({"shape": shape} if shape else {})}
    callback = outbox.job_ended(ended_job(callback_profile=profile, callback_context=context, **fields))
    assert callback is not None
    return json.loads(secrets.unseal(bytes(callback.body_sealed)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("profile", "shape", "result", "expected"),
    [
        ("standard", "chat_reply", {"content": "Hi."}, {"job_id": "wp-17", "content": "Hi.", "usage": USAGE}),
        ("basic", "", {"summary": "Short."}, {"post_id": 7, "status": "ok", "summary": "Short."}),
        (
            "ai-signature-timestamp",
            "document_summary",
            {"summary": "Two words"},
            {
                "job_id": "wp-17",
                "attachment_id": 9,
                "title": "Report",
                "summary_markdown": "Two words",
                "word_count": 2,
                "processing_ms": 2500,
                "chunks": 1,
                "s3_text_key": "",
            },
        ),
        (
            "ai-signature-timestamp",
            "document_summary",
            {
                "title": "T",
                "summary_markdown": "# M",
                "word_count": 5,
                "processing_ms": 1,
                "chunks": 3,
                "s3_text_key": "k",
            },
            {
                "job_id": "wp-17",
                "attachment_id": 9,
                "title": "T",
                "summary_markdown": "# M",
                "word_count": 5,
                "processing_ms": 1,
                "chunks": 3,
                "s3_text_key": "k",
            },
        ),
        (
            "ai-signature-timestamp",
            "",
            {"label": "news"},
            {
                "job_id": "wp-17",
                "idempotency_key": "once",
                "status": "succeeded",
                "result_json": {"label": "news"},
                "usage": {"tokens": 42, "ms": 2500},
            },
        ),
        ("x-sig", "post_summary", {"label": "news"}, {"post_id": 7, "status": "ok", "summary": '{"label": "news"}'}),
    ],
    ids=["row-2", "row-5", "row-6", "row-6-from-the-result", "row-12", "any-shape-any-profile"],
)
def test_a_result_has_the_shape_of_its_contract(profile: str, shape: str, result: Any, expected: Any) -> None:
    assert job_body(profile, shape, result=result) == expected


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("chat_reply", {"job_id": "wp-17", "content": "", "usage": USAGE, "error": ERROR}),
        ("post_summary", {"post_id": 7, "status": "error", "error": "It took too long."}),
        ("document_summary", {"job_id": "wp-17", "attachment_id": 9, "error": ERROR}),
        (
            "job_result",
            {
                "job_id": "wp-17",
                "idempotency_key": "once",
                "status": "failed",
                "result_json": None,
                "usage": {"tokens": 42, "ms": 2500},
                "error": ERROR,
            },
        ),
    ],
)
def test_a_failure_is_told_in_each_shape(shape: str, expected: Any) -> None:
    fields = {"status": "failed", "error_code": "timeout", "error_message": "It took too long."}
    assert job_body("standard", shape, **fields) == expected


@pytest.mark.django_db
def test_without_ids_of_its_own_a_client_gets_ours() -> None:
    job = ended_job(callback_profile="ai-signature-timestamp", idempotency_key="k-1", started_at=None)
    callback = outbox.job_ended(job)
    assert callback is not None
    body = json.loads(secrets.unseal(bytes(callback.body_sealed)))
    assert (body["job_id"], body["idempotency_key"], body["usage"]["ms"]) == (str(job.id), "k-1", 0)


def test_every_profile_has_a_shape_that_there_is() -> None:
    assert set(PROFILES.values()) <= set(SHAPES)
    assert set(PROFILES) == {"standard", "basic", *legacy.PROFILES}


def test_an_unknown_profile_or_shape_is_refused_with_those_there_are() -> None:
    assert check_profile("") == "standard"
    assert check_profile("x-sig", {"shape": "chat_reply"}) == "x-sig"
    for arguments, field in ((("rfc9421",), "callback_profile"), (("standard", {"shape": "xml"}), "callback_context")):
        with pytest.raises(Invalid, match="known: ") as caught:
            check_profile(*arguments)
        assert caught.value.errors[0]["field"] == field
    with pytest.raises(Invalid):
        check_profile("standard", {"shape": ["unhashable"]})


PASSWORD = "abcd efgh ijkl mnop qrst uvwx"


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://blog.example.org/wp-json/ai-jobs/v1/callback", True),
        ("https://BLOG.example.org:443/other", True),
        ("https://hooks.example.net/in", True),
        ("http://intranet.example.com/hook", True),
        ("http://blog.example.org/wp-json/ai-jobs/v1/callback", False),
        ("https://blog.example.org:8443/", False),
        ("https://evil.example/", False),
        ("https://blog.example.org.evil.example/", False),
        ("https://blog.example.org@evil.example/", False),
        ("https://evil.example\\@blog.example.org/", False),
        ("https://www.blog.example.org/", False),
        ("ftp://blog.example.org/", False),
        ("", False),
    ],
)
def test_a_password_goes_to_its_own_site_only(url: str, allowed: bool) -> None:
    tenant = Tenant(
        site_url="https://blog.example.org",
        callback_url="https://hooks.example.net/wp",
        callback_hosts=["intranet.example.com"],
    )
    if allowed:
        check_password_target(tenant, url)
    else:
        with pytest.raises(Invalid, match="site itself"):
            check_password_target(tenant, url)


def test_a_site_without_a_url_gets_no_password_anywhere() -> None:
    with pytest.raises(Invalid):
        check_password_target(Tenant(), "https://blog.example.org/")


@pytest.mark.django_db(transaction=True)
def test_an_application_password_is_sent_as_wordpress_takes_it_and_kept_nowhere(receiver: Receiver) -> None:
    tenant = TenantFactory.create(callback_hosts=["127.0.0.1"])
    issue(tenant, kind="app_password", username="Zoë", password=PASSWORD)
    pair = base64.b64encode(f"Zoë:{PASSWORD}".encode()).decode()
    receiver.answers = [status(403, body=f"no: {pair}, {PASSWORD}, Basic {pair}")]
    job = ended_job(
        tenant,
        callback_url=receiver.url,
        callback_profile="basic",
        callback_context={"post_id": 7},
        result={"summary": "Short."},
    )
    callback = outbox.job_ended(job)
    assert callback is not None
    deliver_due()
    [(headers, body)] = receiver.received
    assert headers["authorization"] == f"Basic {pair}"
    assert headers["webhook-id"] == callback.message_id
    assert json.loads(body) == {"post_id": 7, "status": "ok", "summary": "Short."}
    assert callback.attempt_log.get().excerpt == "no: ***, ***, ***"


@pytest.mark.django_db(transaction=True)
def test_no_password_reaches_a_foreign_host_though_the_callback_was_written(
    receiver: Receiver, configure: SetUp
) -> None:
    tenant = TenantFactory.create()
    issue(tenant, kind="app_password", username="editor", password=PASSWORD)
    callback = put(tenant, receiver, profile="basic")
    deliver_due()
    assert (fresh(callback).state, fresh(callback).last_error) == ("pending", "url_refused")
    assert receiver.connections == 0


@pytest.mark.django_db(transaction=True)
def test_a_revoked_password_is_not_sent(receiver: Receiver) -> None:
    tenant = TenantFactory.create(callback_hosts=["127.0.0.1"])
    issue(tenant, kind="app_password", username="editor", password=PASSWORD).credential.revoke()
    callback = put(tenant, receiver, profile="basic")
    deliver_due()
    assert fresh(callback).last_error == "no_secret"
    assert receiver.connections == 0
