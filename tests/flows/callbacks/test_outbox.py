"""Callbacks written with what they tell of: once, in order, with the body that was asked for."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from django_wp_ai.callbacks import outbox
from django_wp_ai.models import Callback, CallbackEndpoint, Job
from django_wp_ai.security import secrets
from tests.factories import TenantFactory
from tests.flows.callbacks.jobs import ended_job

pytestmark = pytest.mark.django_db


def body_of(callback: Callback) -> Any:
    return json.loads(secrets.unseal(bytes(Callback.objects.get(pk=callback.pk).body_sealed)))


def told(job: Job) -> Any:
    callback = outbox.job_ended(job)
    assert callback is not None
    return body_of(callback)


def test_a_job_that_names_no_url_tells_nobody() -> None:
    assert outbox.job_ended(ended_job(callback_url="")) is None
    assert not Callback.objects.exists()
    assert not CallbackEndpoint.objects.exists()


def test_an_ended_job_is_told_as_the_api_shows_it() -> None:
    job = ended_job(result={"content": "Grüße"}, metadata={"post": 7}, cost_usd="0.000123000", end_user="42")
    callback = outbox.job_ended(job)
    assert callback is not None
    assert (callback.type, callback.profile, callback.end_user) == ("job.succeeded", "standard", "42")
    assert callback.endpoint.url == job.callback_url
    body = body_of(callback)
    assert body["type"] == "job.succeeded"
    assert body["timestamp"] == "2026-03-01T12:00:02.500000+00:00"
    data = body["data"]
    assert (data["id"], data["status"], data["result"]) == (str(job.id), "succeeded", {"content": "Grüße"})
    assert data["error"] is None
    assert data["metadata"] == {"post": 7}
    assert data["usage"] == {"input_tokens": 30, "output_tokens": 12, "cost_usd": "0.000123", "estimated": False}


def test_a_failed_job_tells_its_error() -> None:
    body = told(ended_job(status="failed", error_code="timeout", error_message="It took too long."))
    assert body["type"] == "job.failed"
    assert body["data"]["error"] == {"code": "timeout", "message": "It took too long."}
    assert body["data"]["result"] is None


def test_the_body_is_not_readable_in_the_row() -> None:
    callback = outbox.job_ended(ended_job(result={"content": "CANARY"}))
    assert callback is not None
    row = Callback.objects.filter(pk=callback.pk).values().get()
    assert b"CANARY" not in bytes(row["body_sealed"])


def test_it_is_gone_with_the_transaction_that_wrote_it() -> None:
    job = ended_job()
    with transaction.atomic():
        outbox.job_ended(job)
        transaction.set_rollback(True)
    assert not Callback.objects.exists()


def test_callbacks_of_one_job_have_places_in_their_order() -> None:
    job = ended_job()
    first = outbox.put(job.tenant, url=job.callback_url, type="job.progress", data={}, job=job)
    second = outbox.job_ended(job)
    assert second is not None
    assert [first.sequence, second.sequence] == [0, 1]
    assert CallbackEndpoint.objects.count() == 1


def test_a_callback_to_an_endpoint_that_is_off_is_kept_as_a_dead_letter() -> None:
    job = ended_job()
    outbox.job_ended(job)
    CallbackEndpoint.objects.update(disabled_at=timezone.now(), disabled_reason="operator")
    callback = outbox.put(job.tenant, url=job.callback_url, type="job.progress", data={})
    callback.refresh_from_db()
    assert (callback.state, callback.last_error) == ("dead", "endpoint_disabled")
    assert callback.ended_at is not None


def test_a_number_that_json_has_not_is_told_as_null() -> None:
    data = {"score": float("nan"), "list": [float("inf"), 1.5], "text": "\ud800"}
    callback = outbox.put(TenantFactory(), url="https://blog.example.org/hook", type="thing.done", data=data)
    assert body_of(callback)["data"] == {"score": None, "list": [None, 1.5], "text": "?"}


@pytest.mark.django_db(transaction=True)
def test_several_that_begin_with_one_url_at_once_share_its_endpoint() -> None:
    jobs = [ended_job(tenant) for tenant in [TenantFactory.create()] for _ in range(6)]
    begin = threading.Barrier(len(jobs))
    failed: list[BaseException] = []

    def end(job: Job) -> None:
        begin.wait()
        try:
            with transaction.atomic():
                outbox.job_ended(job)
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=end, args=[job]) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert CallbackEndpoint.objects.count() == 1
    assert Callback.objects.count() == len(jobs)
