"""What no client should send about jobs, and what it gets: the documented refusal, and nothing written."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone

from django_wp_ai.models import Job
from tests.api.conftest import MOUNT, Site
from tests.api.jobs import JOB, create, kind_echo, stored
from tests.api.refusals import check_shape, row_counts
from tests.api.test_bad_input import BOMB, DEEP, NOT_JSON
from tests.factories import make_credential

__all__ = ["kind_echo"]


@pytest.mark.parametrize("body", [*NOT_JSON.values(), b"null", b"5", b'"x"', b"[]", b"{}"], ids=lambda b: repr(b[:30]))
def test_what_is_no_strict_json_creates_nothing(site: Site, body: bytes) -> None:
    before = row_counts()
    check_shape(create(site, body), "v1/jobs", 422, "invalid")
    assert row_counts() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"kind": None}, "kind"),
        ({"kind": ""}, "kind"),
        ({"kind": 7}, "kind"),
        ({"kind": "no_such"}, "kind"),
        ({"kind": "x" * 65}, "kind"),
        ({"kind": ["echo"]}, "kind"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": "text"}, "input"),
        ({"input": {}}, "input.text"),
        ({"input": {"text": ""}}, "input.text"),
        ({"input": {"text": 7}}, "input.text"),
        ({"input": {"text": "a", "times": "2"}}, "input.times"),
        ({"input": {"text": "a", "unknown": 1}}, "input.unknown"),
        ({"metadata": None}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"end_user": 7}}, "metadata"),
        ({"metadata": {"end_user": "x" * 129}}, "metadata"),
        ({"metadata": {"plugin": {}}}, "metadata"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata"),
        ({"run_after": 1_800_000_000}, "run_after"),
        ({"run_after": True}, "run_after"),
        ({"run_after": "soon"}, "run_after"),
        ({"run_after": ""}, "run_after"),
        ({"run_after": "2999-01-01T00:00:00Z"}, "run_after"),
        ({"run_after": "9999-12-31T23:59:59-23:59"}, "run_after"),
        ({"run_after": "0001-01-01T00:00:00+23:59"}, "run_after"),
        ({"run_after": "2026-01-01T00:00:00"}, "run_after"),
        ({"priority": 101}, "priority"),
        ({"priority": -101}, "priority"),
        ({"priority": 10**30}, "priority"),
        ({"priority": "1"}, "priority"),
        ({"priority": 1.0}, "priority"),
        ({"priority": True}, "priority"),
        ({"callback_url": 7}, "callback_url"),
        ({"callback_url": "x" * 2001}, "callback_url"),
        ({"callback_url": "ftp://blog.example.org/"}, "callback_url"),
        ({"callback_url": "javascript:alert(1)"}, "callback_url"),
        ({"callback_url": "https://user:password@blog.example.org/"}, "callback_url"),
        ({"callback_url": "http://169.254.169.254/latest/meta-data"}, "callback_url"),
        ({"callback_url": "http://[::ffff:10.0.0.1]/"}, "callback_url"),
        ({"callback_url": "https://blog.example.org/", "callback_profile": "no-such"}, "callback_profile"),
        ({"callback_profile": 7}, "callback_profile"),
        ({"callback_context": {}}, "callback_context"),
        ({"tenant": "x"}, "tenant"),
        ({"status": "succeeded"}, "status"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_an_odd_field_is_refused_by_name(site: Site, settings: Any, changes: dict[str, Any], field: str) -> None:
    before = row_counts()
    refused = check_shape(create(site, {**JOB, **changes}), "v1/jobs", 422, "invalid")
    assert field in [error["field"] for error in refused["errors"]]
    assert row_counts() == before


@pytest.mark.parametrize("missing", ["kind", "input"])
def test_what_is_needed_is_asked_for(site: Site, missing: str) -> None:
    body = {name: value for name, value in JOB.items() if name != missing}
    refused = check_shape(create(site, body), "v1/jobs", 422, "invalid")
    assert [error["field"] for error in refused["errors"]] == [missing]


def test_a_time_that_has_passed_is_now(site: Site) -> None:
    past = (timezone.now() - timedelta(days=3)).isoformat()
    job_id = create(site, {**JOB, "run_after": past}).json()["id"]
    job = Job.objects.get(pk=job_id)
    assert abs((job.run_after - job.created_at).total_seconds()) < 60


def test_a_huge_or_encoded_job_is_refused_unread(site: Site) -> None:
    before = row_counts()
    huge = json.dumps({**JOB, "input": {"text": "x" * 300_000}})
    check_shape(create(site, huge), "v1/jobs", 413, "too_large")
    check_shape(create(site, BOMB, Content_Encoding="gzip"), "v1/jobs", 415, "unsupported_media")
    check_shape(site.post("v1/jobs", JOB, content_type="text/plain"), "v1/jobs", 415, "unsupported_media")
    assert row_counts() == before


def test_a_large_input_within_the_limit_is_taken(site: Site) -> None:
    body = json.dumps({**JOB, "input": {"text": "\u00e9" * 100_000}}, ensure_ascii=False).encode()
    assert create(site, body).status_code == 202


def test_deep_metadata_is_refused(site: Site) -> None:
    deep = b'{"kind": "echo", "input": {"text": "a"}, "metadata": {"a": ' + b"[" * DEEP + b"]" * DEEP + b"}}"
    check_shape(create(site, deep), "v1/jobs", 422, "invalid")


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")


@pytest.mark.parametrize("path", ["v1/jobs", "v1/callbacks"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=101",
        "limit=x",
        "limit=",
        "limit=1e1",
        "limit=" + "9" * 5000,
        "cursor=x",
        "cursor=%00",
        "cursor=%F0%9F%98%80",
        "cursor=" + "a" * 201,
        "cursor=" + cursor("2026-01-01T00:00:00+00:00 x"),
        "cursor=" + cursor("2026-01-01T00:00:00 7a1e8b62-6d7c-4f4e-9f43-2c2a0f6f1d11"),
        "cursor=" + cursor("0001-01-01T00:00:00+23:59 7a1e8b62-6d7c-4f4e-9f43-2c2a0f6f1d11"),
        "cursor=" + cursor("9999-12-31T23:59:59-23:59 7a1e8b62-6d7c-4f4e-9f43-2c2a0f6f1d11"),
        "unknown=1",
        "limit=1&limit=2",
        "%00=1",
        "&".join(f"p{number}=1" for number in range(2000)),
    ],
    ids=lambda query: query[:50],
)
def test_an_odd_query_is_refused(site: Site, path: str, query: str) -> None:
    check_shape(site.get(f"{path}?{query}"), path, 422, "invalid")


@pytest.mark.parametrize(
    "query",
    [
        "v1/jobs?status=done",
        "v1/jobs?status=QUEUED",
        "v1/jobs?kind=%00",
        "v1/jobs?kind=" + "x" * 65,
        "v1/callbacks?state=sent",
        "v1/callbacks?job=x",
        "v1/callbacks?job=%00",
    ],
)
def test_a_filter_that_means_nothing_is_refused(site: Site, query: str) -> None:
    check_shape(site.get(query), "v1/jobs", 422, "invalid")


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_ten_times_at_once_makes_one_job() -> None:
    issued = make_credential("api_key")
    headers = {"X-API-Key": issued.secret, "Idempotency-Key": "k-1"}

    def send(_: int) -> Any:
        try:
            return Client().post(f"{MOUNT}v1/jobs", JOB, content_type="application/json", headers=headers)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(send, range(10)))
    assert {reply.status_code for reply in replies} <= {202, 409}
    assert {reply.json()["id"] for reply in replies if reply.status_code == 202} == {str(Job.objects.get().pk)}
    assert len([reply for reply in replies if reply.status_code == 202 and "Idempotency-Replayed" not in reply]) == 1


@pytest.mark.django_db(transaction=True)
def test_a_job_that_is_cancelled_ten_times_at_once_is_cancelled_once() -> None:
    issued = make_credential("api_key")
    job = stored(issued.credential.tenant)

    def send(_: int) -> int:
        try:
            url, headers = f"{MOUNT}v1/jobs/{job.pk}/cancel", {"X-API-Key": issued.secret}
            return int(Client().post(url, b"", content_type="application/json", headers=headers).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(send, range(10))) == [200] + [409] * 9
