"""What people may do with jobs and callbacks, who may, and what they are told."""

from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages

from django_wp_ai.admin import acting
from django_wp_ai.models import Callback, CallbackEndpoint, Job

pytestmark = pytest.mark.django_db

BASE = "/admin/django_wp_ai"
ACTIONS = [
    ("job", "cancel_jobs"),
    ("job", "retry_jobs"),
    ("job", "replay_callbacks"),
    ("callback", "replay_selected"),
    ("callbackendpoint", "disable_selected"),
    ("callbackendpoint", "enable_selected"),
]


def act(client, model, action, *rows, **fields):
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows], **fields}
    return client.post(f"{BASE}/{model}/", chosen)


def said(response) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]


def state_of(row) -> str:
    return type(row).objects.values_list("status" if isinstance(row, Job) else "state", flat=True).get(pk=row.pk)


def test_queued_jobs_end_at_once_and_running_ones_are_asked_to_stop(admin_client, made_job):
    queued, also_queued, running, done = (made_job(status) for status in ("queued", "queued", "running", "succeeded"))
    response = act(admin_client, "job", "cancel_jobs", queued, also_queued, running, done)
    assert [state_of(job) for job in (queued, also_queued, running, done)] == [
        "cancelled",
        "cancelled",
        "running",
        "succeeded",
    ]
    assert Job.objects.get(pk=running.pk).cancel_requested_at is not None
    told = said(response)
    assert "2 jobs: cancelled." in told
    assert any(text.startswith("1 job: asked to stop") for text in told)
    assert any(text.startswith("1 was left as it is: The job has ended") for text in told)


def test_failed_and_cancelled_jobs_are_tried_again(admin_client, made_job):
    failed, cancelled, done = (made_job(status, attempts=4) for status in ("failed", "cancelled", "succeeded"))
    response = act(admin_client, "job", "retry_jobs", failed, cancelled, done)
    assert [state_of(job) for job in (failed, cancelled, done)] == ["queued", "queued", "succeeded"]
    assert Job.objects.get(pk=failed.pk).attempts == 0
    assert "2 jobs: queued again." in said(response)
    assert any("Only failed and cancelled jobs" in text for text in said(response))


def test_what_was_done_is_in_the_history_of_the_job(admin_client, made_job):
    done, refused = made_job("failed"), made_job("succeeded")
    act(admin_client, "job", "retry_jobs", done, refused)
    assert [(entry.object_id, entry.change_message) for entry in LogEntry.objects.all()] == [
        (str(done.pk), "queued again.")
    ]


def test_callbacks_are_sent_again_from_their_job(admin_client, made_job, made_callback):
    callback, other = made_callback("dead"), made_callback("dead", job=made_job("failed"))
    none = made_job("failed")
    response = act(admin_client, "job", "replay_callbacks", callback.job, none)
    assert [state_of(one) for one in (callback, other)] == ["pending", "dead"]
    assert "1 job: callbacks queued again." in said(response)
    assert any("no callback of it" in text for text in said(response))


def test_callbacks_are_sent_again_one_by_one(admin_client, made_callback):
    dead, delivered, pending = (made_callback(state) for state in ("dead", "delivered", "pending"))
    response = act(admin_client, "callback", "replay_selected", dead, delivered, pending)
    assert [state_of(one) for one in (dead, delivered, pending)] == ["pending"] * 3
    assert Callback.objects.get(pk=pending.pk).replays == 0
    assert Callback.objects.get(pk=dead.pk).replays == 1
    assert "2 callbacks: queued to be sent again." in said(response)
    assert any("It waits to be sent already." in text for text in said(response))


def test_an_endpoint_is_switched_off_and_on(admin_client, made_callback):
    endpoint = made_callback("dead").endpoint
    assert any(
        "switched off" in text for text in said(act(admin_client, "callbackendpoint", "disable_selected", endpoint))
    )
    off = CallbackEndpoint.objects.get(pk=endpoint.pk)
    assert (off.disabled_at is not None, off.disabled_reason) == (True, "operator")
    assert any(
        "off already" in text for text in said(act(admin_client, "callbackendpoint", "disable_selected", endpoint))
    )
    assert any(
        "switched on" in text for text in said(act(admin_client, "callbackendpoint", "enable_selected", endpoint))
    )
    assert CallbackEndpoint.objects.get(pk=endpoint.pk).disabled_at is None
    assert any(
        "on already" in text for text in said(act(admin_client, "callbackendpoint", "enable_selected", endpoint))
    )


def row_of(model, made_job, made_callback):
    if model == "job":
        return made_callback("dead", job=made_job("failed")).job
    return made_callback("dead") if model == "callback" else made_callback("dead").endpoint


@pytest.mark.parametrize(("model", "action"), ACTIONS)
def test_who_may_only_look_has_no_action_and_no_button(viewer, made_job, made_callback, model, action):
    row = row_of(model, made_job, made_callback)
    before = type(row).objects.filter(pk=row.pk).values().get()
    page = viewer.get(f"{BASE}/{model}/{row.pk}/change/")
    assert page.status_code == 200
    assert page.context["tools"] == []
    assert action not in viewer.get(f"{BASE}/{model}/").content.decode()
    act(viewer, model, action, row)
    assert type(row).objects.filter(pk=row.pk).values().get() == before
    assert not LogEntry.objects.exists()


def test_replaying_needs_the_permission_to_change_callbacks_not_jobs(log_in, made_job, made_callback):
    callback = made_callback("dead", job=made_job("failed"))
    operator = log_in("view_job", "change_job")
    shown = operator.get(f"{BASE}/job/{callback.job_id}/change/").context["tools"]
    assert [tool["action"] for tool in shown] == ["retry_jobs"]
    act(operator, "job", "replay_callbacks", callback.job)
    assert state_of(callback) == "dead"
    courier = log_in("view_job", "change_callback")
    shown = courier.get(f"{BASE}/job/{callback.job_id}/change/").context["tools"]
    assert [tool["action"] for tool in shown] == ["replay_callbacks"]
    act(courier, "job", "replay_callbacks", callback.job)
    assert state_of(callback) == "pending"


def test_with_the_permission_to_change_a_page_still_edits_nothing(log_in, made_job):
    operator = log_in("view_job", "change_job", "delete_job", "add_job")
    job = made_job("failed")
    assert 'name="_save"' not in operator.get(f"{BASE}/job/{job.pk}/change/").content.decode()
    assert operator.post(f"{BASE}/job/{job.pk}/change/", {"status": "succeeded"}).status_code == 403
    assert operator.post(f"{BASE}/job/{job.pk}/delete/", {"post": "yes"}).status_code == 403
    assert operator.get(f"{BASE}/job/add/").status_code == 403


@pytest.mark.parametrize(
    ("status", "offered"),
    [
        ("queued", ["cancel_jobs"]),
        ("running", ["cancel_jobs"]),
        ("succeeded", []),
        ("failed", ["retry_jobs"]),
        ("cancelled", ["retry_jobs"]),
    ],
)
def test_a_page_offers_what_its_job_allows(admin_client, made_job, status, offered):
    page = admin_client.get(f"{BASE}/job/{made_job(status).pk}/change/")
    assert [tool["action"] for tool in page.context["tools"]] == offered


def test_a_button_of_a_page_leads_back_to_it(log_in, made_job):
    operator, job = log_in("view_job", "change_job", csrf=True), made_job("failed")
    page = operator.get(f"{BASE}/job/{job.pk}/change/")
    refused = act(operator, "job", "retry_jobs", job, from_page="1")
    assert (refused.status_code, state_of(job)) == (403, "failed")
    token = str(page.context["csrf_token"])
    response = act(operator, "job", "retry_jobs", job, from_page="1", csrfmiddlewaretoken=token)
    assert response["Location"] == f"{BASE}/job/{job.pk}/change/"
    assert state_of(job) == "queued"


def test_more_than_can_be_done_at_once_is_refused_whole(admin_client, made_job, monkeypatch):
    monkeypatch.setattr(acting, "MAX_AT_ONCE", 2)
    jobs = [made_job("queued") for _ in range(3)]
    response = act(admin_client, "job", "cancel_jobs", *jobs)
    assert {state_of(job) for job in jobs} == {"queued"}
    assert "select 2 at most" in said(response)[0]
