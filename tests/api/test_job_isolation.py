"""Every route about jobs and callbacks: whose job it is, what the credential may, and what the proof reaches."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_wp_ai.api.build import api
from django_wp_ai.callbacks import outbox
from django_wp_ai.models import Callback, Job
from django_wp_ai.security.issue import issue_site_keys
from tests.api.conftest import Site, body_of
from tests.api.jobs import JOB, as_user, create, created, kind_echo, stored
from tests.api.refusals import check_shape, row_counts
from tests.factories import TenantFactory, make_credential

__all__ = ["kind_echo"]

#: Every route about a job or a callback: its method and path.
ONE_JOB = [
    ("GET", "v1/jobs/{job_id}"),
    ("POST", "v1/jobs/{job_id}/cancel"),
    ("POST", "v1/jobs/{job_id}/retry"),
    ("GET", "v1/jobs/{job_id}/events"),
    ("POST", "v1/callbacks/{callback_id}/replay"),
]
ALL = [("POST", "v1/jobs"), ("GET", "v1/jobs"), ("GET", "v1/callbacks"), *ONE_JOB]
BAD_IDS = [
    "1",
    "x",
    "%00",
    "%F0%9F%98%80",
    "-",
    "x" * 500,
    "..%2f..",
    "None",
    "%27",
    "00000000-0000-0000-0000-00000000000g",
]


@pytest.fixture
def other(site: Site) -> Site:
    tenant = TenantFactory.create()
    return Site(tenant, issue_site_keys(tenant), Client())


def callback_of(job: Job) -> Callback:
    made = outbox.put(
        job.tenant, url="https://blog.example.org/hook", type="job.x", data={}, job=job, end_user=job.end_user
    )
    Callback.objects.filter(pk=made.pk).update(state="delivered", ended_at=timezone.now())
    return made


def call(site: Site, method: str, path: str, *, headers: dict[str, str] | None = None) -> Any:
    if method == "GET":
        return site.get(path, headers=headers)
    return site.post(path, JOB if path == "v1/jobs" else b"", headers=headers)


def about(path: str, job: Job, callback: Callback) -> str:
    return path.format(job_id=job.pk, callback_id=callback.pk)


def test_no_route_about_jobs_is_missing_here() -> None:
    found = {
        (method, "/".join((prefix.strip("/"), path.strip("/"))))
        for prefix, router in api._routers
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
        if method != "OPTIONS"
    }
    assert {one for one in found if one[1].startswith(("v1/jobs", "v1/callbacks"))} == set(ALL)


@pytest.mark.parametrize(("method", "path"), ONE_JOB)
def test_another_sites_job_is_not_there(site: Site, other: Site, method: str, path: str) -> None:
    job = stored(site.tenant, status="failed", error_code="internal")
    before = row_counts()
    theirs = call(other, method, about(path, job, callback_of(job)))
    nobodys = call(other, method, path.format(job_id=uuid.uuid4(), callback_id=uuid.uuid4()))
    for response in (theirs, nobodys):
        check_shape(response, path, 404, "not_found")
    assert {**theirs.json(), "request_id": ""} == {**nobodys.json(), "request_id": ""}
    job.refresh_from_db()
    assert job.status == "failed"
    assert row_counts() == {**before, "Callback": 1, "CallbackEndpoint": 1}


@pytest.mark.parametrize(("method", "path"), ONE_JOB)
def test_an_end_user_reaches_their_own_jobs_only(site: Site, method: str, path: str) -> None:
    mine, theirs = (stored(site.tenant, status="failed", error_code="internal", end_user=user) for user in ("42", "43"))
    nobodys = stored(site.tenant, status="failed", error_code="internal")
    headers = as_user(site, "42")
    for job in (theirs, nobodys):
        check_shape(call(site, method, about(path, job, callback_of(job)), headers=headers), path, 404, "not_found")
    reached = call(site, method, about(path, mine, callback_of(mine)), headers=headers)
    assert reached.status_code == (409 if "cancel" in path else 200 if method == "GET" else 202)
    if reached.streaming:
        body_of(reached)


@pytest.mark.parametrize(("method", "path"), ALL)
def test_a_call_needs_a_proof_and_the_scope_jobs(site: Site, method: str, path: str) -> None:
    job = stored(site.tenant, status="failed", error_code="internal")
    path = about(path, job, callback_of(job))
    weak = make_credential("api_key", tenant=site.tenant, scopes=["chat", "embeddings", "usage", "stream", "rag.read"])
    before = row_counts()
    check_shape(call(site, method, path, headers={}), path, 401, "unauthenticated")
    check_shape(call(site, method, path, headers={"X-API-Key": weak.secret}), path, 403, "forbidden")
    after = row_counts()
    assert {**after, "AuthFailureCount": 0} == {**before, "AuthFailureCount": 0}


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(("method", "path"), ONE_JOB)
def test_an_id_that_is_none_is_not_there(site: Site, method: str, path: str, bad: str) -> None:
    check_shape(call(site, method, path.format(job_id=bad, callback_id=bad)), path, 404, "not_found")


@pytest.mark.parametrize(("method", "path"), ALL)
def test_another_method_is_refused(site: Site, method: str, path: str) -> None:
    job = stored(site.tenant)
    wrong = site.client.delete("/wp-ai/" + path.format(job_id=job.pk, callback_id=job.pk), headers=site.auth)
    check_shape(wrong, path, 405, "method_not_allowed")


def test_a_list_shows_a_sites_own_and_an_end_users_own(site: Site, other: Site) -> None:
    mine, theirs = (created(site, headers=as_user(site, user)) for user in ("42", "43"))
    foreign = stored(other.tenant)
    callbacks = [callback_of(job) for job in (mine, theirs, foreign)]

    def ids(caller: Site, path: str, **named: Any) -> set[str]:
        listed = caller.get(path, **named).json()
        return {one["id"] for one in listed[path.partition("/")[2]]}

    assert ids(site, "v1/jobs") == {str(mine.pk), str(theirs.pk)}
    assert ids(site, "v1/jobs", headers=as_user(site, "42")) == {str(mine.pk)}
    assert ids(other, "v1/jobs") == {str(foreign.pk)}
    assert ids(site, "v1/callbacks") == {one.message_id for one in callbacks[:2]}
    assert ids(site, "v1/callbacks", headers=as_user(site, "42")) == {callbacks[0].message_id}
    assert ids(other, "v1/callbacks") == {callbacks[2].message_id}
    assert other.get(f"v1/callbacks?job={mine.pk}").json()["callbacks"] == []


def test_the_job_of_another_site_is_no_parent_key_or_twin(site: Site, other: Site, settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "JOB_DEDUPE_S": 60}
    ids = {create(caller, Idempotency_Key="k").json()["id"] for caller in (site, other)}
    assert len(ids) == 2


def test_an_inactive_site_is_a_stranger(site: Site) -> None:
    job = stored(site.tenant)
    site.tenant.is_active = False
    site.tenant.save()
    for method, path in ALL:
        check_shape(call(site, method, path.format(job_id=job.pk, callback_id=job.pk)), path, 401, "unauthenticated")
