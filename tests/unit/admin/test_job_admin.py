"""The list and the page of jobs: what they show, what they never show, and in how many queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai.models import Job, JobStep
from tests.factories import TenantFactory
from tests.unit.admin.conftest import CANARY

pytestmark = pytest.mark.django_db

LIST = "/admin/django_wp_ai/job/"


def page_of(job: Job) -> str:
    return f"{LIST}{job.pk}/change/"


def found(client, **query):
    return set(client.get(LIST, query).context["cl"].queryset)


def cell(text: str, column: str) -> str:
    return text.partition(f'class="field-{column}')[2].partition("</td>")[0]


def test_neither_the_list_nor_a_page_shows_what_users_said_or_a_token(admin_client, made_job, made_callback):
    job = made_job("failed", error_code="provider_error", error_message="The provider failed")
    JobStep.objects.create(job=job, name="ask", fence=1, sent_at=timezone.now(), result_sealed=job.input_sealed)
    made_callback(job=job)
    listed = admin_client.get(LIST).content.decode()
    shown = admin_client.get(page_of(job)).content.decode()
    assert "provider_error" in listed
    assert "The provider failed" in shown
    assert "hooks.example.org/in/…?…" in shown
    assert CANARY not in listed + shown


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"cost_usd": Decimal("0.0123")}, "$0.0123"),
        ({"cost_usd": Decimal("1.5"), "is_estimated": True}, "~$1.50"),
        ({"cost_usd": None}, "unknown"),
        ({"status": "queued", "cost_usd": None}, "-"),
        ({"status": "running", "cost_usd": None, "input_tokens": 5}, "unknown"),
    ],
)
def test_cost_is_money_and_an_unknown_price_is_said_to_be_unknown(admin_client, made_job, fields, shown):
    made_job(**{"status": "succeeded", **fields})
    assert shown in cell(admin_client.get(LIST).content.decode(), "cost")


def test_times_are_those_of_waiting_and_of_work(admin_client, made_job):
    now = timezone.now()
    times = {"created_at": now - timedelta(seconds=90), "started_at": now - timedelta(seconds=85), "finished_at": now}
    made_job("succeeded", **times)
    text = cell(admin_client.get(LIST).content.decode(), "time")
    assert "5.0 s" in text
    assert "1 min 25 s" in text
    assert "attempt" not in text


def test_attempts_are_told_where_there_was_more_than_one(admin_client, made_job):
    made_job("failed", attempts=3, max_attempts=4)
    assert "attempt 3 of 4" in cell(admin_client.get(LIST).content.decode(), "time")


@pytest.mark.parametrize(
    ("status", "fields", "shown"),
    [
        ("running", {"started_at": datetime(2026, 1, 1, tzinfo=UTC)}, "so far"),
        ("queued", {"run_after": datetime(2100, 1, 1, tzinfo=UTC)}, "starts in"),
    ],
)
def test_times_of_a_job_under_way_say_so(admin_client, made_job, status, fields, shown):
    made_job(status, **fields)
    assert shown in cell(admin_client.get(LIST).content.decode(), "time")


def test_progress_is_a_bar_where_it_says_more_than_the_status(admin_client, made_job):
    made_job("running", progress=40)
    assert 'value="40"' in cell(admin_client.get(LIST).content.decode(), "advance")
    Job.objects.update(progress=0)
    assert "progress" not in cell(admin_client.get(LIST).content.decode(), "advance")


def test_a_running_job_that_is_to_be_cancelled_is_stopping(admin_client, made_job):
    made_job("running", cancel_requested_at=timezone.now())
    assert "stopping" in cell(admin_client.get(LIST).content.decode(), "advance")


def test_the_figures_above_the_list_lead_to_the_rows_they_count(admin_client, made_job):
    now = timezone.now()
    late = made_job("queued", run_after=now - timedelta(minutes=12))
    due = made_job("queued", run_after=now - timedelta(seconds=5))
    made_job("queued", run_after=now + timedelta(hours=1))
    running = made_job("running")
    made_job("running", kind="batch", waiting_for=2, lease_until=None)
    failed = made_job("failed")
    made_job("failed", finished_at=now - timedelta(hours=25))
    figures = admin_client.get(LIST).context["figures"]
    assert [figure.value for figure in figures[:2]] == ["2", "1"]
    assert figures[2].value.startswith("12 min")
    assert figures[2].warns
    assert figures[3].value == "1"
    queries = [dict(pair.split("=") for pair in figure.query.split("&")) for figure in figures]
    assert [found(admin_client, **query) for query in queries] == [{late, due}, {running}, {late}, {failed}]


def test_an_idle_queue_warns_of_nothing(admin_client):
    figures = admin_client.get(LIST).context["figures"]
    assert [figure.value for figure in figures] == ["0", "0", "-", "0"]
    assert not any(figure.warns for figure in figures)


def test_filters_and_search_narrow_the_list(admin_client, made_job):
    tenant = TenantFactory(slug="blog")
    old = timezone.now() - timedelta(hours=3)
    made_job("succeeded", finished_at=old, tenant=tenant)
    wanted = made_job(
        "failed",
        kind="translate",
        error_code="timeout",
        end_user="u-7",
        idempotency_key="key-7",
        request_id="0123456789abcdef0123456789abcdef",
    )
    lost = made_job("running", lease_until=old)
    child = made_job("queued", parent=wanted, ordinal=0, tenant=wanted.tenant)
    for query in (
        {"status__exact": "failed"},
        {"kind": "translate"},
        {"error_code": "timeout"},
        {"error_code": "*"},
        {"ended": "1h"},
        {"tenant__id__exact": wanted.tenant_id, "status__exact": "failed"},
        {"q": str(wanted.pk)},
        {"q": wanted.pk.hex.upper()},
        {"q": "u-7"},
        {"q": "key-7"},
        {"q": "0123456789abcdef0123456789abcdef"},
    ):
        assert found(admin_client, **query) == {wanted}, query
    assert found(admin_client, queue="lost") == {lost}
    assert found(admin_client, batch=str(wanted.pk)) == {child}
    assert len(found(admin_client, error_code="-")) == 3
    assert len(found(admin_client, queue="nonsense", ended="nonsense")) == 4
    assert found(admin_client, q="u") == set()


@pytest.mark.parametrize(
    "query",
    [{"input_sealed__icontains": "c"}, {"metadata__title": "c"}, {"credential__secret_hash__startswith": "a"}],
)
def test_the_url_can_not_search_what_jobs_do_not_show(admin_client, made_job, query):
    made_job()
    assert admin_client.get(LIST, query).status_code == 400


def test_a_batch_that_is_no_id_leads_back_to_the_list(admin_client):
    response = admin_client.get(LIST, {"batch": "x"})
    assert response.status_code == 302
    assert response["Location"] == f"{LIST}?e=1"


def test_the_page_tells_of_each_attempt(admin_client, made_job):
    timeline = [
        {
            "number": 1,
            "worker": "web-1:77",
            "started_at": "2026-11-01T10:00:00+00:00",
            "ended_at": "2026-11-01T10:01:05+00:00",
            "outcome": "lost",
            "error": "worker_lost",
        },
        {"number": 2, "outcome": "failed", "error": "timeout", "started_at": None, "ended_at": "broken"},
        "no entry",
    ]
    text = admin_client.get(page_of(made_job("failed", timeline=timeline))).content.decode()
    for shown in ("worker lost", "web-1:77", "took 1 min 5 s", "timeout"):
        assert shown in text


def test_the_page_points_out_a_step_that_was_sent_twice(admin_client, made_job):
    job = made_job("failed", repeated_calls=1)
    at = timezone.now()
    JobStep.objects.create(job=job, name="once", fence=1, sent_at=at, state="done", done_at=at + timedelta(seconds=2))
    assert "wpai-repeated" not in admin_client.get(page_of(job)).content.decode()
    JobStep.objects.create(job=job, name="twice", fence=2, sent_at=at, sends=2)
    text = admin_client.get(page_of(job)).content.decode()
    assert text.count("wpai-repeated") == 1
    assert "sent 2 times" in text
    assert "took 2.0 s" in text


def test_the_page_of_a_batch_tells_how_far_it_is_and_which_jobs_failed(admin_client, made_job):
    batch = made_job("running", kind="batch", waiting_for=1, lease_until=None)
    for ordinal, status in enumerate(("succeeded", "succeeded", "failed", "running")):
        error = {"error_code": "content_blocked"} if status == "failed" else {}
        made_job(status, parent=batch, ordinal=ordinal, tenant=batch.tenant, **error)
    failed = batch.children.get(status="failed")
    page = admin_client.get(page_of(batch))
    text = page.content.decode()
    assert "3 of 4 have ended" in text
    assert "content_blocked" in text
    assert page_of(failed) in text
    assert f"?batch={batch.pk}&amp;status__exact=succeeded" in text
    assert f"batch {str(batch.pk)[:8]}" in admin_client.get(page_of(failed)).content.decode()


def test_the_page_leads_to_the_usage_of_the_job(admin_client, log_in, made_job, used):
    job = made_job("succeeded")
    event = used(job.tenant, trace_id=job.pk)
    used(job.tenant)
    page = admin_client.get(page_of(job))
    assert list(admin_client.get(page.context["usage_url"]).context["cl"].queryset) == [event]
    assert "usage_url" not in log_in("view_job").get(page_of(job)).context


def test_an_empty_or_odd_job_is_shown(admin_client, made_job):
    for job in (made_job(), made_job(callback_url="http://[broken"), made_job(callback_url="nonsense", timeline=[])):
        assert admin_client.get(page_of(job)).status_code == 200
    assert admin_client.get(LIST).status_code == 200


def test_the_list_asks_as_often_for_one_job_as_for_twenty(admin_client, made_job):
    made_job("failed", error_code="timeout")
    admin_client.get(LIST)  # fills the content type cache
    with CaptureQueriesContext(connection) as few:
        admin_client.get(LIST)
    for _ in range(20):
        made_job("failed", error_code="timeout")
    with CaptureQueriesContext(connection) as many:
        admin_client.get(LIST)
    assert len(many) == len(few)
    assert not any("sealed" in query["sql"] for query in many)


def test_a_page_asks_as_often_for_one_callback_and_step_as_for_many(admin_client, made_job, made_callback):
    job = made_job("failed")

    def add() -> None:
        number = job.steps.count()
        made_callback(job=job)
        JobStep.objects.create(job=job, name=f"step-{number}", fence=1, sent_at=timezone.now())
        made_job("failed", parent=job, ordinal=number, tenant=job.tenant)

    add()
    admin_client.get(page_of(job))
    with CaptureQueriesContext(connection) as few:
        admin_client.get(page_of(job))
    for _ in range(10):
        add()
    with CaptureQueriesContext(connection) as many:
        admin_client.get(page_of(job))
    assert len(many) == len(few)
    assert not any("sealed" in query["sql"] for query in many)
