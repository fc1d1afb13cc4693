"""Watching a job: its state at once, what changes, its end; under ASGI and WSGI; in a browser with a stream token."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.request import Request, urlopen

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from django_wp_ai.api import job_events
from django_wp_ai.jobs import watching
from django_wp_ai.models import Job, Tenant
from django_wp_ai.policy import slots
from tests.api.conftest import MOUNT, Event, Site, body_of, events, options
from tests.api.jobs import as_user, kind_echo, stored
from tests.api.refusals import check_shape
from tests.factories import make_credential
from tests.servers import running_site
from tests.vendor.running import RunningVendor

__all__ = ["kind_echo"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_events, "LOOK_EVERY_S", 0.01)


_look = watching.look


@pytest.fixture
def states(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What the looks of a watcher find, one after the other; an exception is raised."""
    coming: list[Any] = []

    def look(job: Job) -> watching.Seen:
        found = coming.pop(0)
        if isinstance(found, Exception):
            raise found
        status, progress = found
        ended = {"finished_at": timezone.now()} if status not in ("queued", "running") else {}
        Job.objects.filter(pk=job.pk).update(status=status, progress=progress, **ended)
        return _look(job)

    monkeypatch.setattr(watching, "look", look)
    yield coming
    assert not coming


def path_of(job: Job) -> str:
    return f"v1/jobs/{job.pk}/events"


def watch(site: Site, job: Job, **named: Any) -> list[Event]:
    response = site.get(path_of(job), **named)
    assert response.status_code == 200, response.content
    return events(body_of(response))


def test_a_job_that_has_ended_is_told_at_once_with_its_result(site: Site) -> None:
    job = stored(site.tenant, status="succeeded", progress=100, result={"text": "done"})
    response = site.get(path_of(job))

    assert response["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response["Cache-Control"] == "no-cache, no-transform"
    assert response["X-Accel-Buffering"] == "no"
    first, done, end = events(body_of(response))
    assert (first.name, first.data) == ("progress", {"status": "succeeded", "progress": 100})
    assert done.name == "done"
    assert done.data == site.get(f"v1/jobs/{job.pk}").json()
    assert (end.name, end.data) == ("", "[DONE]")


def test_what_changes_is_told_and_nothing_else(site: Site, states: list[Any]) -> None:
    states += [
        ("queued", 0),
        ("running", 0),
        ("running", 0),
        ("running", 40),
        ("running", 40),
        ("running", 100),
        ("succeeded", 100),
    ]
    told = watch(site, stored(site.tenant))
    assert [(one.name, one.data) for one in told[:-2]] == [
        ("progress", {"status": status, "progress": percent})
        for status, percent in [("queued", 0), ("running", 0), ("running", 40), ("running", 100), ("succeeded", 100)]
    ]
    assert (told[-2].name, told[-2].data["status"]) == ("done", "succeeded")
    assert told[-1].data == "[DONE]"


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_job_that_ends_badly_is_done_too(site: Site, states: list[Any], status: str) -> None:
    states += [(status, 0)]
    done = watch(site, stored(site.tenant, error_code="timeout", error_message="Too long."))[-2]
    assert (done.name, done.data["status"]) == ("done", status)
    assert done.data["error"]["code"] == "timeout"


def test_a_comment_is_sent_in_long_silence(site: Site, states: list[Any], settings: Any) -> None:
    settings.DJANGO_WP_AI = {**settings.DJANGO_WP_AI, "STREAM_HEARTBEAT_S": 0.001}
    states += [("queued", 0)] * 3 + [("succeeded", 100)]
    raw = body_of(site.get(path_of(stored(site.tenant))))
    assert raw.count(b": keep-alive\n\n") == 3


def test_a_job_that_is_deleted_meanwhile_is_told_as_an_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    job = stored(site.tenant)

    def look(seen: Job) -> watching.Seen:
        Job.objects.filter(pk=job.pk).delete()
        return _look(seen)

    monkeypatch.setattr(watching, "look", look)
    response = site.get(path_of(job))
    error, end = events(body_of(response))[1:]
    assert (error.name, error.data["code"], error.data["status"]) == ("error", "not_found", 404)
    assert error.data["request_id"] == response["X-Request-ID"]
    assert end.data == "[DONE]"


def test_a_database_that_restarts_ends_no_stream(
    site: Site, states: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    states += [OperationalError("password=secret"), ("running", 0), OperationalError("x"), ("succeeded", 100)]
    told = watch(site, stored(site.tenant))
    assert [one.name for one in told] == ["progress", "progress", "progress", "done", ""]
    assert "OperationalError" in caplog.text
    assert "secret" not in caplog.text


def test_a_stream_ends_after_an_hour_without_a_word(
    site: Site, states: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_events, "WATCHED_FOR_S", 0.0)
    assert [one.name for one in watch(site, stored(site.tenant))] == ["progress"]


# Who may watch


def minted(site: Site, **wished: Any) -> str:
    response = site.post("v1/stream-tokens", {"scope": "jobs", **wished})
    assert response.status_code == 200, response.content
    return str(response.json()["token"])


def test_a_browser_watches_with_a_token_once(site: Site) -> None:
    job = stored(site.tenant, status="succeeded", end_user="42")
    token = minted(site, end_user="42")
    response = site.client.get(MOUNT + path_of(job), {"token": token})
    assert events(body_of(response))[-1].data == "[DONE]"
    again = site.client.get(MOUNT + path_of(job), {"token": token})
    check_shape(again, "v1/jobs", 401, "unauthenticated")


def test_a_token_for_jobs_tells_where_to_watch(site: Site) -> None:
    url = site.post("v1/stream-tokens", {"scope": "jobs"}).json()["url"]
    assert url == f"http://testserver{MOUNT}v1/jobs/{{id}}/events"


def test_a_token_reaches_its_end_users_jobs_only(site: Site) -> None:
    job = stored(site.tenant, status="succeeded", end_user="42")
    for end_user in ("43", "4", "42 "):
        response = site.client.get(MOUNT + path_of(job), {"token": minted(site, end_user=end_user)})
        check_shape(response, "v1/jobs", 404, "not_found")


def test_a_token_for_chats_watches_no_job(site: Site) -> None:
    job = stored(site.tenant, status="succeeded")
    response = site.client.get(MOUNT + path_of(job), {"token": minted(site, scope="chat")})
    check_shape(response, "v1/jobs", 403, "forbidden")


@pytest.mark.parametrize("path", ["", "/cancel", "/retry"])
def test_a_token_opens_nothing_but_the_stream(site: Site, path: str) -> None:
    job = stored(site.tenant)
    headers = {"Authorization": f"Bearer {minted(site)}"}
    call = (
        site.post(f"v1/jobs/{job.pk}{path}", b"", headers=headers)
        if path
        else site.get(f"v1/jobs/{job.pk}", headers=headers)
    )
    check_shape(call, "v1/jobs", 401, "unauthenticated")
    check_shape(site.get("v1/jobs", headers=headers), "v1/jobs", 401, "unauthenticated")


def test_a_page_of_the_site_may_watch_and_another_may_not(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(origins=["https://blog.example.org"])
    job = stored(site.tenant, status="succeeded")
    url = MOUNT + path_of(job)
    own, other = {"Origin": "https://blog.example.org"}, {"Origin": "https://evil.example.org"}

    allowed = site.client.get(url, {"token": minted(site)}, headers=own)
    assert allowed["Access-Control-Allow-Origin"] == "https://blog.example.org"
    assert body_of(allowed)
    check_shape(site.client.get(url, {"token": minted(site)}, headers=other), "v1/jobs", 403, "forbidden")
    preflight = site.client.options(url, headers=own)
    assert (preflight.status_code, preflight["Access-Control-Allow-Methods"]) == (204, "GET")
    check_shape(site.client.options(url, headers=other), "v1/jobs", 403, "forbidden")


def test_a_refusal_before_the_first_event_is_a_plain_error(site: Site) -> None:
    job = stored(site.tenant)
    check_shape(site.get(path_of(job), headers={}), "v1/jobs", 401, "unauthenticated")
    weak = make_credential("api_key", tenant=site.tenant, scopes=["chat"])
    check_shape(site.get(path_of(job), headers={"X-API-Key": weak.secret}), "v1/jobs", 403, "forbidden")
    check_shape(site.get(f"v1/jobs/{uuid.uuid4()}/events"), "v1/jobs", 404, "not_found")
    check_shape(site.get(path_of(job), headers=as_user(site, "42")), "v1/jobs", 404, "not_found")


# Places


@pytest.mark.django_db(transaction=True)
def test_a_watcher_has_one_of_the_sites_places_and_gives_it_back(site: Site, states: list[Any]) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(max_streams=1)
    site.tenant.refresh_from_db()
    states += [("succeeded", 100)]
    job = stored(site.tenant)
    first = site.get(path_of(job))
    assert slots.in_use(site.tenant) == 1
    refused = site.get(path_of(job))
    check_shape(refused, "v1/jobs", 429, "rate_limited")
    assert refused["Retry-After"]
    assert body_of(first)
    wait_until_free(site.tenant)

    left = site.get(path_of(stored(site.tenant)))  # and nobody ever reads it
    assert slots.in_use(site.tenant) == 1
    left.close()
    wait_until_free(site.tenant)


def wait_until_free(tenant: Tenant) -> None:
    while slots.in_use(tenant):
        pass


def test_a_refused_watcher_takes_no_place(site: Site) -> None:
    Tenant.objects.filter(pk=site.tenant.pk).update(max_streams=1)
    check_shape(site.get(f"v1/jobs/{uuid.uuid4()}/events"), "v1/jobs", 404, "not_found")
    site.tenant.refresh_from_db()
    assert slots.in_use(site.tenant) == 0


# Real servers


def progress_of(line: str) -> str:
    return line.removeprefix("data: ")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_events_come_as_they_happen_and_no_connection_is_held_between_looks(vendor: RunningVendor, server: str) -> None:
    """Twelve watchers on one server of eight threads for database work at most; the job is moved on from here."""
    issued = make_credential("api_key")
    job = stored(issued.credential.tenant)
    watchers = 12 if server == "uvicorn" else 6
    with running_site(server, options(vendor.url, DB_THREADS=2)) as url:
        streams = [
            urlopen(Request(f"{url}{MOUNT}{path_of(job)}", headers={"X-API-Key": issued.secret}), timeout=60)
            for _ in range(watchers)
        ]
        try:
            for stream in streams:
                assert next_event(stream) == (b"event: progress", b'data: {"status":"queued","progress":0}')
            Job.objects.filter(pk=job.pk).update(progress=60)
            for stream in streams:
                assert next_event(stream) == (b"event: progress", b'data: {"status":"queued","progress":60}')
            if connection.vendor == "postgresql":
                assert connections_besides_ours() <= 4
            Job.objects.filter(pk=job.pk).update(status="cancelled", finished_at=timezone.now())
            for stream in streams:
                assert next_event(stream)[1] == b'data: {"status":"cancelled","progress":60}'
                assert next_event(stream)[0] == b"event: done"
                assert next_event(stream) == (b"", b"data: [DONE]")
                assert stream.read() == b""
        finally:
            for stream in streams:
                stream.close()


def connections_besides_ours() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


def next_event(stream: Any) -> tuple[bytes, bytes]:
    """Name and data lines of the next event; comments are passed over."""
    name, data = b"", b""
    while True:
        line = stream.readline().rstrip(b"\n")
        if line.startswith(b"event:"):
            name = line
        elif line.startswith(b"data:"):
            data = line
        elif not line and data:
            return name, data
