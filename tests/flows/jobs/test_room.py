"""A job's row as it is written, and how many of them a site may have waiting."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.jobs import room
from django_wp_ai.models import Job
from tests.flows.jobs.conftest import fresh, queued, site
from tests.flows.jobs.test_create import configured


def counts(queries: CaptureQueriesContext) -> int:
    return sum("COUNT(" in query["sql"] for query in queries.captured_queries)


def test_a_queue_with_much_room_is_not_counted_for_each_job(principal: Principal, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=1000)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            queued(principal)
    assert counts(queries) == 1


def test_a_count_is_not_trusted_for_long(principal: Principal, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=1000)
    monkeypatch.setattr(room, "FRESH_S", -1.0)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            queued(principal)
    assert counts(queries) == 5


@pytest.mark.parametrize("has_key", [True, False], ids=["with keys", "without"])
def test_one_process_fills_the_queue_to_its_last_place(principal: Principal, settings: Any, has_key: bool) -> None:
    most = 3 * room.PROCESSES
    configured(settings, JOBS_QUEUED_PER_TENANT=most)
    for number in range(most):
        queued(principal, idempotency_key=f"k{number}" if has_key else "")
    with pytest.raises(RateLimited):
        queued(principal, idempotency_key="one more" if has_key else "")
    assert Job.objects.count() == most


def test_a_process_uses_no_more_than_its_part_of_the_room_without_counting(principal: Principal, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=2 * room.PROCESSES + 1)
    with CaptureQueriesContext(connection) as queries:
        for _ in range(4):
            queued(principal)
    assert counts(queries) == 2  # 33 places: the first, and two without; then 30: one, and one without


def test_a_site_does_not_use_the_room_of_another(principal: Principal, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=1000)
    queued(principal)
    with CaptureQueriesContext(connection) as queries:
        queued(site())
    assert counts(queries) == 1


def test_a_refused_call_with_a_key_leaves_no_row_and_its_key_free(db: None) -> None:
    principal = site(job_rpm=1)
    queued(principal)
    with pytest.raises(RateLimited):
        queued(principal, idempotency_key="k")
    assert not Job.objects.filter(idempotency_key="k").exists()
    principal.tenant.job_rpm = 2
    assert queued(principal, idempotency_key="k").pk


@pytest.mark.parametrize("key", ["k", ""], ids=["with a key", "without"])
@pytest.mark.parametrize("ahead", [timedelta(hours=1), None], ids=["later", "now"])
def test_a_created_job_is_what_was_stored(principal: Principal, key: str, ahead: timedelta | None) -> None:
    run_after = None if ahead is None else timezone.now() + ahead
    job = queued(principal, idempotency_key=key, run_after=run_after, metadata={"a": ["ü", 1, None]})
    stored = fresh(job)
    for field in Job._meta.concrete_fields:
        value = getattr(stored, field.attname)
        assert getattr(job, field.attname) == (bytes(value) if field.name == "input_sealed" else value), field.name
    assert run_after is None or stored.run_after == run_after
    job.progress = 1
    job.save()  # it is known to be there
    assert Job.objects.count() == 1


@pytest.mark.postgresql
def test_a_job_without_a_key_is_one_statement(principal: Principal, settings: Any) -> None:
    configured(settings, JOBS_QUEUED_PER_TENANT=1000)
    queued(principal)
    with CaptureQueriesContext(connection) as queries:
        queued(principal)
    assert len(queries) == 1
