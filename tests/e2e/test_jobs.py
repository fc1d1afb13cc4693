"""Jobs on a running demo: handed in by a signed call, worked on by its qcluster, told by a signed callback."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from tests.e2e.demo_process import Demo
from tests.e2e.site import Site
from tests.e2e.waiting import until
from tests.flows.callbacks.receiver import Receiver, receiving
from tests.vendor.running import RunningVendor

pytestmark = pytest.mark.e2e

ROW = {"type": "object", "properties": {"name": {"type": "string"}, "price": {"type": "number"}}, "required": ["name"]}
JOBS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "chat": (
        {"prompt": "Bread is baked at six. When is bread baked?"},
        {"provider": "offline", "finish_reason": "stop"},
    ),
    "summary": ({"text": "Our shop opens at nine. Dogs are welcome.", "length_words": 20}, {"language": ""}),
    "classify": ({"text": "Buy a coat", "labels": ["coat", "shoe"]}, {"label": "coat"}),
    "extract": (
        {"text": "Name: Rye bread\nThe price is 3.5 euros.", "schema": ROW},
        {"data": {"name": "Rye bread", "price": 3.5}},
    ),
    "moderation": ({"text": "I am going to kill you."}, {"flagged": True, "categories": ["violence"]}),
    "batch": (
        {
            "kind": "classify",
            "items": [{"text": f"Buy a {word}", "labels": ["coat", "shoe"]} for word in ("coat", "shoe")],
        },
        {"total": 2, "succeeded": 2, "failed": 0, "cancelled": 0},
    ),
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """The site's own server."""
    with receiving() as running:
        yield running


@pytest.mark.parametrize("kind", JOBS)
def test_a_job_of_each_kind_is_done_and_told(demo: Demo, receiver: Receiver, kind: str) -> None:
    given, expected = JOBS[kind]
    site = Site(demo, receiver)
    accepted = site.hand_in(kind, given)
    assert (accepted["kind"], accepted["status"], accepted["result"]) == (kind, "queued", None)
    job = site.ended(accepted["id"])
    assert (job["status"], job["error"], job["progress"]) == ("succeeded", None, 100), job
    assert {name: job["result"][name] for name in expected} == expected
    assert job["usage"]["cost_usd"] == "0"
    [(message, event)] = site.callbacks(job["id"])
    assert message.startswith("msg_")
    assert event["type"] == "job.succeeded"
    assert event["data"] == job


def test_a_poller_with_an_etag_pays_nothing_while_nothing_changes(
    vendor_demo: Demo, stand_in: RunningVendor, receiver: Receiver
) -> None:
    stand_in.clear()
    site = Site(vendor_demo, receiver)
    job_id = site.hand_in("chat", {"prompt": "[[hold]] [[say=Done.]] Hello"})["id"]
    statuses = []
    for reply in site.polled(job_id):
        statuses.append(reply.status_code)
        if reply.status_code == 304:
            assert reply.content == b""
            stand_in.release(None)
        else:
            assert re.match(r"queue;dur=[\d.]+, worker;dur=[\d.]+, provider;dur=[\d.]+", reply.headers["server-timing"])
    assert 304 in statuses
    assert statuses[-1] == 200
    assert site.ended(job_id)["result"]["content"] == "Done."


def test_a_failed_job_is_told_with_its_reason(vendor_demo: Demo, stand_in: RunningVendor, receiver: Receiver) -> None:
    stand_in.clear()
    site = Site(vendor_demo, receiver)
    job_id = site.hand_in("extract", {"text": "[[say=no JSON at all]] A text", "schema": ROW})["id"]
    [(_, event)] = site.callbacks(job_id)
    assert event["type"] == "job.failed"
    assert event["data"]["error"]["code"] == "invalid_result"
    assert len(stand_in.requests) == 2  # asked once, and once to mend it


def test_a_job_outlives_the_worker_that_was_killed_over_it(
    tmp_path_factory: pytest.TempPathFactory, stand_in: RunningVendor, receiver: Receiver
) -> None:
    stand_in.clear()
    data = tmp_path_factory.mktemp("killed")
    with Demo(data, OPENAI_BASE_URL=stand_in.openai_url, OPENAI_API_KEY="sk-test").wait() as running:
        site = Site(running, receiver)
        job_id = site.hand_in("summary", {"text": "[[hold]] [[say=Bread.]] We bake bread."})["id"]
        until(lambda: stand_in.requests, lambda: f"nothing was asked.\n{running.output}")
        os.kill(int(details(running, job_id)["worker"].split(":")[1]), signal.SIGKILL)
        stand_in.release(None)
        job = site.ended(job_id)
        [(_, event)] = site.callbacks(job_id)
        known = details(running, job_id)
    assert (job["status"], job["attempts"], job["result"]["summary"]) == ("succeeded", 2, "Bread."), job
    assert event["data"] == job
    assert [attempt["outcome"] for attempt in known["attempt_log"]] == ["lost", "succeeded"]
    assert known["repeated_calls"] == 1  # nobody can know whether the first call was answered
    assert len(stand_in.requests) == 2


def details(demo: Demo, job_id: str) -> dict[str, Any]:
    said = demo.manage("wp_ai_jobs", "show", job_id, "--json")
    assert said.returncode == 0, said.stderr
    return dict(json.loads(said.stdout))


def test_the_commands_list_jobs_and_callbacks(demo: Demo, receiver: Receiver) -> None:
    site = Site(demo, receiver)
    job_id = site.hand_in(*("classify", JOBS["classify"][0]))["id"]
    [(message, _)] = site.callbacks(job_id)
    listed = demo.manage("wp_ai_jobs", "list", "--tenant", "demo")
    assert listed.returncode == 0, listed.stderr
    assert re.search(rf"{job_id} +demo +classify +succeeded", listed.stdout)
    as_json = json.loads(demo.manage("wp_ai_jobs", "list", "--kind", "classify", "--json").stdout)
    assert as_json["queue"].keys() == {"queued", "running", "oldest_age_s"}
    assert job_id in {job["id"] for job in as_json["jobs"]}
    told = demo.manage("wp_ai_callbacks", "list", "--job", job_id, "--json")
    assert told.returncode == 0, told.stderr
    assert message in told.stdout
    assert message in demo.manage("wp_ai_callbacks", "list", "--tenant", "demo").stdout


def test_the_admin_shows_jobs_and_callbacks(demo: Demo, receiver: Receiver) -> None:
    site = Site(demo, receiver)
    job_id = site.hand_in("chat", {"prompt": "Nobody else reads: a secret word is Zwieback."})["id"]
    [(message, _)] = site.callbacks(job_id)
    with logged_in(demo) as client:
        listed = page(client, "job/")
        assert f"job/{job_id}/change/" in listed
        job = page(client, f"job/{job_id}/change/")
        assert "succeeded" in job
        assert "Zwieback" not in job
        messages = page(client, f"callback/?q={job_id}")
        callback = re.search(r"/admin/django_wp_ai/(callback/[0-9a-f-]{36}/change/)", messages)
        assert callback is not None, messages
        assert message in page(client, callback[1])
        endpoints = page(client, "callbackendpoint/")
        endpoint = re.search(r"/admin/django_wp_ai/(callbackendpoint/\d+/change/)", endpoints)
        assert endpoint is not None, endpoints
        page(client, endpoint[1])
        page(client, "inboundevent/")


@contextmanager
def logged_in(demo: Demo) -> Iterator[httpx2.Client]:
    """A browser's session at the admin's pages of this app."""
    admin = demo.info["admin"]
    with httpx2.Client(base_url=f"{admin['url']}django_wp_ai/", follow_redirects=True, timeout=60) as client:
        client.get(admin["url"])
        login = {"username": admin["username"], "password": admin["password"], "next": "/admin/"}
        client.post(f"{admin['url']}login/", data={**login, "csrfmiddlewaretoken": client.cookies["csrftoken"]})
        yield client


def page(client: httpx2.Client, path: str) -> str:
    reply = client.get(path)
    assert reply.status_code == 200, f"{path}: {reply.status_code}"
    return reply.text
