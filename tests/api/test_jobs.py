"""Jobs over the API: created, read, listed, cancelled and tried again."""

from __future__ import annotations

import json
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from django_wp_ai.jobs import payload
from django_wp_ai.models import Job, Tenant
from tests.api.conftest import MOUNT, Site
from tests.api.jobs import JOB, as_user, create, created, kind_echo, stored
from tests.api.refusals import check_shape, row_counts
from tests.factories import make_credential
from tests.signing import LEGACY_PROFILES, fresh_claims, hs256, legacy_signature, message_signature

__all__ = ["kind_echo"]

SHAPE = {
    "id",
    "kind",
    "status",
    "progress",
    "result",
    "error",
    "usage",
    "attempts",
    "metadata",
    "created_at",
    "started_at",
    "finished_at",
}


def limit(site: Site, **fields: Any) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(**fields)


# Create


def test_a_job_is_there_before_the_reply(site: Site) -> None:
    response = create(site, {**JOB, "metadata": {"post_id": 7, "end_user": "42", "plugin": "shop"}, "priority": 5})

    assert response.status_code == 202
    body = response.json()
    job = Job.objects.get(pk=body["id"])
    assert response["Location"] == f"{MOUNT}v1/jobs/{job.pk}"
    assert set(body) == SHAPE
    assert {name: body[name] for name in ("kind", "status", "progress", "result", "error", "attempts")} == {
        "kind": "echo",
        "status": "queued",
        "progress": 0,
        "result": None,
        "error": None,
        "attempts": 0,
    }
    assert body["metadata"] == {"post_id": 7, "end_user": "42", "plugin": "shop"}
    assert datetime.fromisoformat(body["created_at"]).utcoffset() == timedelta(0)
    assert payload.unseal(job.input_sealed) == {"text": "hello"}
    assert (job.tenant, job.credential) == (site.tenant, site.keys.api_key.credential)
    assert (job.end_user, job.priority, job.caller["plugin"]) == ("42", 5, "shop")
    assert job.request_id == response["X-Request-ID"]
    assert not site.usage()


def test_a_job_may_be_put_off(site: Site) -> None:
    at = timezone.now() + timedelta(days=2)
    for text in (at.isoformat(), at.astimezone(UTC).isoformat().replace("+00:00", "Z")):
        assert created(site, {**JOB, "run_after": text}).run_after == at


def test_the_end_user_of_the_proof_wins(site: Site) -> None:
    body = {**JOB, "metadata": {"end_user": "admin"}}
    assert created(site, body, headers=as_user(site, "42")).end_user == "42"


def test_creating_tells_its_limits_and_is_refused_beyond_them(site: Site) -> None:
    limit(site, job_rpm=2)
    first = create(site)
    assert first.status_code == 202
    assert "RateLimit" in first
    assert "q=2" in first["RateLimit-Policy"]
    assert create(site).status_code == 202
    before = row_counts()
    refused = create(site)
    check_shape(refused, "v1/jobs", 429, "rate_limited")
    assert int(refused["Retry-After"]) >= 1
    assert "r=0" in refused["RateLimit"]
    assert row_counts() == before


def test_one_end_user_is_limited_and_the_others_are_not(site: Site) -> None:
    limit(site, end_user_job_rpm=1)
    statuses = [create(site, headers=as_user(site, user)).status_code for user in ("one", "one", "other")]
    assert statuses == [202, 429, 202]


def test_a_full_queue_refuses_and_says_when_to_come_back(site: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOBS_QUEUED_PER_TENANT": 1}
    assert create(site).status_code == 202
    refused = create(site)
    check_shape(refused, "v1/jobs", 429, "rate_limited")
    assert int(refused["Retry-After"]) >= 1


@pytest.mark.parametrize("profile", LEGACY_PROFILES)
def test_a_job_comes_under_every_older_signature(site: Site, profile: str) -> None:
    issued = make_credential("hmac", tenant=site.tenant, profile=profile, scopes=["jobs"])
    stamp = {"timestamp": fresh_claims()["iat"]} if profile == "ai-signature" else {}
    body = json.dumps({**JOB, **stamp}).encode()
    assert create(site, body, headers=legacy_signature(profile, issued.secret, body)).status_code == 202


def test_a_job_comes_under_a_message_signature_and_so_do_its_calls(site: Site) -> None:
    hmac, body = site.keys.hmac, json.dumps(JOB).encode()

    def signed(method: str, path: str, body: bytes = b"") -> dict[str, str]:
        full = MOUNT + path
        return message_signature(hmac.credential.key_id, hmac.secret, method=method, path=full, body=body)

    job_id = create(site, body, headers=signed("POST", "v1/jobs", body)).json()["id"]
    path = f"v1/jobs/{job_id}"
    assert site.get(path, headers=signed("GET", path)).status_code == 200
    cancel = f"{path}/cancel"
    assert site.post(cancel, b"", headers=signed("POST", cancel)).status_code == 200


# The same call again


def test_a_key_gives_the_first_reply_again_and_makes_one_job(site: Site) -> None:
    first, again = create(site, Idempotency_Key="k-1"), create(site, Idempotency_Key="k-1")

    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert (again.status_code, again.content, again["Location"]) == (202, first.content, first["Location"])
    assert Job.objects.get().idempotency_key == "k-1"


@pytest.mark.parametrize("name", ["idempotency_key", "request_id"])
def test_a_body_may_name_the_key(site: Site, name: str) -> None:
    first, again = (create(site, {**JOB, name: "k-1"}) for _ in range(2))
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert Job.objects.get().idempotency_key == "k-1"


def test_a_tokens_id_is_a_key_of_its_end_user(site: Site) -> None:
    first, again = (create(site, headers=as_user(site, "42", jti="k-1")) for _ in range(2))
    other = create(site, headers=as_user(site, "43", jti="k-1"))
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first.json()["id"]
    assert (other.status_code, "Idempotency-Replayed" in other) == (202, False)
    assert len({job.idempotency_key for job in Job.objects.all()}) == 2


@pytest.mark.parametrize("is_forgotten", [False, True])
def test_the_row_knows_its_key_when_the_kept_reply_is_gone(site: Site, is_forgotten: bool) -> None:
    """After 24 hours, or when the process died between the commit and the reply."""
    from django_wp_ai.models import IdempotentReply

    first = create(site, Idempotency_Key="k-1").json()
    if is_forgotten:
        IdempotentReply.objects.all().delete()
        stored_job = Job.objects.get()
        Job.objects.update(status="failed", error_code="internal", finished_at=timezone.now())
        assert stored_job.pk == uuid.UUID(first["id"])
    again = create(site, Idempotency_Key="k-1")
    assert again["Idempotency-Replayed"] == "true"
    assert again.json()["id"] == first["id"]
    assert again.json()["status"] == ("failed" if is_forgotten else "queued")  # the row tells how it is now

    other = create(site, {**JOB, "input": {"text": "other"}}, Idempotency_Key="k-1")
    check_shape(other, "v1/jobs", 422, "invalid")
    assert Job.objects.count() == 1


def test_a_key_of_one_site_says_nothing_to_another(site: Site) -> None:
    other = make_credential("api_key")
    ids = {
        create(site, headers=headers, Idempotency_Key="k-1").json()["id"]
        for headers in (site.auth, {"X-API-Key": other.secret})
    }
    assert len(ids) == 2


def test_a_refused_call_frees_its_key(site: Site) -> None:
    bad = {**JOB, "input": {}}
    check_shape(create(site, bad, Idempotency_Key="k-1"), "v1/jobs", 422, "invalid")
    assert create(site, Idempotency_Key="k-1").status_code == 202


def test_the_same_input_within_a_while_is_the_same_job_where_it_is_set_so(site: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOB_DEDUPE_S": 60}
    first, again, other = create(site), create(site), create(site, {**JOB, "input": {"text": "other"}})
    assert again.status_code == 202
    assert "Idempotency-Replayed" not in again  # another call that comes to the same job
    assert again.json()["id"] == first.json()["id"] != other.json()["id"]


# Read


def test_a_job_that_ended_tells_its_result_and_what_it_took(site: Site) -> None:
    job = stored(
        site.tenant,
        status="succeeded",
        progress=100,
        result={"text": "caf\u00e9"},
        input_tokens=7,
        output_tokens=3,
        cost_usd=Decimal("0.000012300"),
        provider_ms=1500,
    )
    response = site.get(f"v1/jobs/{job.pk}")

    assert response.status_code == 200
    body = response.json()
    assert (body["status"], body["result"]) == ("succeeded", {"text": "caf\u00e9"})
    assert (body["usage"]["input_tokens"], body["usage"]["output_tokens"]) == (7, 3)
    assert Decimal(body["usage"]["cost_usd"]) == Decimal("0.0000123")
    assert re.fullmatch(r"queue;dur=[\d.]+, worker;dur=[\d.]+, provider;dur=1500", response["Server-Timing"])
    assert response["Cache-Control"] == "private, no-cache"


def test_a_failed_job_tells_why(site: Site) -> None:
    job = stored(site.tenant, status="failed", error_code="timeout", error_message="It took too long.")
    assert site.get(f"v1/jobs/{job.pk}").json()["error"] == {"code": "timeout", "message": "It took too long."}


def test_a_poll_costs_no_body_until_something_changes(site: Site) -> None:
    job = created(site)
    first = site.get(f"v1/jobs/{job.pk}")
    etag = first["ETag"]
    assert re.fullmatch(r'"[0-9a-f]{32}"', etag)

    def poll(condition: str) -> Any:
        return site.get(f"v1/jobs/{job.pk}", headers={**site.auth, "If-None-Match": condition})

    for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = poll(condition)
        assert (unchanged.status_code, unchanged.content, unchanged["ETag"]) == (304, b"", etag)
        assert "Server-Timing" in unchanged
        assert unchanged["X-Request-ID"]
        assert "Content-Type" not in unchanged
    for condition in ('"other"', etag.strip('"'), "", '"', "W/", "\x00", "é", '"*"'):
        assert poll(condition).content == first.content

    Job.objects.filter(pk=job.pk).update(progress=50)
    changed = poll(etag)
    assert (changed.status_code, changed.json()["progress"]) == (200, 50)
    assert changed["ETag"] != etag


# List


def test_a_list_has_the_newest_first_and_no_results(site: Site) -> None:
    old = stored(site.tenant, status="succeeded", result={"text": "x"}, created_at=timezone.now() - timedelta(hours=1))
    new = created(site)
    body = site.get("v1/jobs").json()
    assert set(body) == {"jobs", "next_cursor"}
    assert [job["id"] for job in body["jobs"]] == [str(new.pk), str(old.pk)]
    assert {frozenset(job) for job in body["jobs"]} == {frozenset(SHAPE)}
    assert [job["result"] for job in body["jobs"]] == [None, None]
    assert body["next_cursor"] is None


def test_a_list_is_filtered(site: Site) -> None:
    queued, failed = created(site), stored(site.tenant, status="failed", error_code="internal")
    Job.objects.filter(pk=failed.pk).update(kind="summary")
    for query, expected in (
        ("status=queued", {queued}),
        ("status=failed", {failed}),
        ("status=running", set()),
        ("status=", {queued, failed}),
        ("kind=summary", {failed}),
        ("kind=no_such", set()),
        ("kind=summary&status=queued", set()),
    ):
        found = {job["id"] for job in site.get(f"v1/jobs?{query}").json()["jobs"]}
        assert found == {str(job.pk) for job in expected}, query


def test_pages_miss_and_repeat_nothing_while_jobs_come_in(site: Site) -> None:
    at = timezone.now() - timedelta(hours=1)
    known = {str(stored(site.tenant, created_at=at + timedelta(seconds=number // 3)).pk) for number in range(10)}
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = site.get(f"v1/jobs?limit=3&cursor={cursor}").json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        created(site)
    assert len(seen) == len(set(seen))
    assert known <= set(seen)
    assert set(seen) - known == set()


# Cancel and retry


def test_a_queued_job_is_cancelled_at_once_and_comes_back(site: Site) -> None:
    job = created(site)
    cancelled = site.post(f"v1/jobs/{job.pk}/cancel", b"")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled["Location"] == f"{MOUNT}v1/jobs/{job.pk}"
    check_shape(site.post(f"v1/jobs/{job.pk}/cancel", {}), "v1/jobs", 409, "conflict")

    again = site.post(f"v1/jobs/{job.pk}/retry", b"")
    assert (again.status_code, again.json()["status"], again.json()["error"]) == (202, "queued", None)
    check_shape(site.post(f"v1/jobs/{job.pk}/retry", b""), "v1/jobs", 409, "conflict")


def test_a_running_job_is_told(site: Site) -> None:
    job = stored(site.tenant, status="running", lease_until=timezone.now() + timedelta(minutes=1), fence=1)
    told = site.post(f"v1/jobs/{job.pk}/cancel", b"")
    assert (told.status_code, told.json()["status"]) == (202, "running")
    job.refresh_from_db()
    assert job.cancel_requested_at is not None
    assert site.post(f"v1/jobs/{job.pk}/cancel", b"").status_code == 202
    check_shape(site.post(f"v1/jobs/{job.pk}/retry", b""), "v1/jobs", 409, "conflict")


@pytest.mark.parametrize("status", ["succeeded", "failed", "cancelled"])
def test_what_has_ended_is_not_cancelled_and_what_succeeded_not_tried_again(site: Site, status: str) -> None:
    job = stored(site.tenant, status=status, error_code="" if status == "succeeded" else "internal")
    check_shape(site.post(f"v1/jobs/{job.pk}/cancel", b""), "v1/jobs", 409, "conflict")
    again = site.post(f"v1/jobs/{job.pk}/retry", b"")
    assert again.status_code == (409 if status == "succeeded" else 202)


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize("body", [b"", {}, {"request_id": "r-1"}])
def test_a_call_about_a_job_needs_no_body(site: Site, verb: str, body: Any) -> None:
    job = stored(site.tenant, **({} if verb == "cancel" else {"status": "failed", "error_code": "internal"}))
    response = site.post(f"v1/jobs/{job.pk}/{verb}", body)
    assert response.status_code == (200 if verb == "cancel" else 202)


@pytest.mark.parametrize("verb", ["cancel", "retry"])
@pytest.mark.parametrize("body", [{"reason": "x"}, [], b"null", b"5", b"{", b" ", b'{"a":1,"a":2}'], ids=str)
def test_a_call_about_a_job_takes_no_other_body(site: Site, verb: str, body: Any) -> None:
    job = stored(site.tenant)
    check_shape(site.post(f"v1/jobs/{job.pk}/{verb}", body), "v1/jobs", 422, "invalid")
    job.refresh_from_db()
    assert job.status == "queued"


def test_cancelling_twice_with_one_key_gives_the_first_reply_again(site: Site) -> None:
    job = created(site)
    headers = {**site.auth, "Idempotency-Key": "c-1"}
    first, again = (site.post(f"v1/jobs/{job.pk}/cancel", b"", headers=headers) for _ in range(2))
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again["Idempotency-Replayed"] == "true"


def test_a_jwt_of_the_site_itself_reaches_every_job(site: Site) -> None:
    job = created(site, headers=as_user(site, "42"))
    jwt = site.keys.jwt
    token = hs256(jwt.secret, fresh_claims(sub=site.tenant.slug), kid=jwt.credential.key_id)
    assert site.get(f"v1/jobs/{job.pk}", headers={"Authorization": f"Bearer {token}"}).status_code == 200
