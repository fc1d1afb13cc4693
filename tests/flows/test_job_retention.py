"""Old jobs go, or lose their words, as their tenant wants; nothing that is under way is touched."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_wp_ai import tasks
from django_wp_ai.jobs import payload, retention
from django_wp_ai.models import Callback, CallbackAttempt, CallbackEndpoint, Job, JobStep, Tenant
from tests.factories import TenantFactory
from tests.flows.test_conversations_at_once import at_once

pytestmark = pytest.mark.django_db

NOW = timezone.now()
WORDS = "canary-words"


@pytest.fixture
def tenant() -> Tenant:
    return TenantFactory.create()


def ended(tenant: Tenant, *, days: float, status: str = "succeeded", **fields: Any) -> Job:
    at = NOW - timedelta(days=days)
    values: dict[str, Any] = {
        "kind": "summary",
        "input_sealed": payload.seal(WORDS),
        "input_hash": "f" * 64,
        "result_sealed": payload.seal(WORDS),
        "metadata": {"title": WORDS},
        "caller": {"roles": [WORDS]},
        "callback_context": {"note": WORDS},
        "callback_url": f"https://a.example.org/{WORDS}",
        "end_user": WORDS,
        "error_message": WORDS,
        "input_tokens": 11,
        "output_tokens": 7,
        "cost_usd": "0.5",
        "created_at": at - timedelta(minutes=1),
        "finished_at": at,
    }
    return Job.objects.create(tenant=tenant, status=status, **{**values, **fields})


def callback_of(job: Job, state: str = "delivered") -> Callback:
    endpoint, _ = CallbackEndpoint.objects.get_or_create(tenant=job.tenant, url="https://a.example.org/", url_hash="a")
    done = {"ended_at": NOW} if state != "pending" else {"next_attempt_at": NOW}
    callback = Callback.objects.create(
        tenant=job.tenant,
        endpoint=endpoint,
        job=job,
        type="job.succeeded",
        profile="standard",
        body_sealed=payload.seal(WORDS),
        end_user=WORDS,
        state=state,
        **done,
    )
    CallbackAttempt.objects.create(callback=callback, number=1, status=200, excerpt=WORDS)
    return callback


def left() -> set[Any]:
    return set(Job.objects.values_list("pk", flat=True))


def everything_of(job: Job) -> str:
    """All that is stored of it, decrypted, as one text."""
    rows: list[Any] = [Job.objects.filter(pk=job.pk).values().get()]
    rows += JobStep.objects.filter(job=job).values()
    rows += Callback.objects.filter(job=job).values("body_sealed", "end_user", "type")
    rows += CallbackAttempt.objects.filter(callback__job=job).values()
    sealed = ("input_sealed", "result_sealed", "body_sealed")
    return repr([{k: payload.unseal(v) if k in sealed and v else v for k, v in row.items()} for row in rows])


def test_a_job_goes_with_its_steps_and_callbacks_after_its_tenants_days(tenant: Tenant) -> None:
    old, young = ended(tenant, days=31), ended(tenant, days=29)
    JobStep.objects.create(job=old, name="ask", fence=1, sent_at=NOW, result_sealed=payload.seal(WORDS))
    callback_of(old)

    assert tasks.tidy()["jobs"] == 1

    assert left() == {young.pk}
    assert not JobStep.objects.exists()
    assert not Callback.objects.exists()
    assert not CallbackAttempt.objects.exists()


def test_each_tenant_keeps_its_jobs_for_its_own_days() -> None:
    short, long = TenantFactory.create(job_days=1), TenantFactory.create(job_days=365)
    gone, kept = ended(short, days=2), ended(long, days=200)

    assert retention.purge_expired(NOW).deleted == 1

    assert left() == {kept.pk}
    assert gone.pk not in left()


def test_an_anonymised_job_keeps_its_figures_and_no_word_or_name() -> None:
    job = ended(TenantFactory.create(job_retention="anonymise"), days=31, idempotency_key=WORDS, error_code="timeout")
    JobStep.objects.create(job=job, name="ask", fence=1, sent_at=NOW, result_sealed=payload.seal(WORDS))
    callback_of(job)
    assert WORDS in everything_of(job)

    assert tasks.tidy()["anonymised_jobs"] == 1

    assert WORDS not in everything_of(job)
    job.refresh_from_db()
    assert (job.input_tokens, job.output_tokens, str(job.cost_usd)[:3]) == (11, 7, "0.5")
    assert (job.status, job.kind, job.error_code) == ("succeeded", "summary", "timeout")
    assert job.anonymised_at is not None
    assert tasks.tidy()["anonymised_jobs"] == 0


@pytest.mark.parametrize("status", ["queued", "running"])
def test_a_job_that_has_not_ended_stays_however_old_it_is(tenant: Tenant, status: str) -> None:
    job = ended(tenant, days=4000, status=status, finished_at=None)
    retention.purge_expired(NOW)
    assert retention.purge(tenant, older_than=timedelta(0), anonymise=True) == 0
    assert left() == {job.pk}
    assert WORDS in everything_of(job)


def test_a_job_stays_until_its_last_callback_is_delivered_or_given_up(tenant: Tenant) -> None:
    job = ended(tenant, days=31)
    callback = callback_of(job, "pending")
    assert retention.purge_expired(NOW).deleted == 0
    Callback.objects.filter(pk=callback.pk).update(state="dead", next_attempt_at=None, ended_at=NOW)
    assert retention.purge_expired(NOW).deleted == 1


def batch(tenant: Tenant, *statuses: str, days: float = 31) -> Job:
    parent = ended(tenant, days=days, kind="batch")
    for ordinal, status in enumerate(statuses):
        unfinished = {"finished_at": None} if status in ("queued", "running") else {}
        ended(tenant, days=days + 1, status=status, parent=parent, ordinal=ordinal, **unfinished)
    return parent


def test_jobs_of_a_batch_go_with_it_and_not_before(tenant: Tenant) -> None:
    young = batch(tenant, "succeeded", "failed", days=29)
    ended(tenant, days=60, parent=young, ordinal=9)
    batch(tenant, "succeeded", "failed", "cancelled")

    assert retention.purge_expired(NOW).deleted == 4

    assert set(Job.objects.filter(parent=None).values_list("pk", flat=True)) == {young.pk}
    assert young.children.count() == 3


def test_a_batch_with_a_job_that_still_runs_stays_whole(tenant: Tenant) -> None:
    parent = batch(tenant, "succeeded", "running")
    assert retention.purge_expired(NOW).deleted == 0
    assert parent.children.count() == 2


def test_many_jobs_go_a_batch_at_a_time(tenant: Tenant) -> None:
    Job.objects.bulk_create(
        Job(
            tenant=tenant,
            kind="chat",
            status="failed",
            created_at=NOW - timedelta(days=99),
            finished_at=NOW - timedelta(days=99),
        )
        for _ in range(1_203)
    )
    kept = ended(tenant, days=1)
    with CaptureQueriesContext(connection) as asked:
        assert retention.purge_expired(NOW, batch=500).deleted == 1_203
    looked = [q["sql"] for q in asked if "LIMIT 500" in q["sql"]]
    assert len(looked) == 4  # the last one found nothing
    assert left() == {kept.pk}


def test_one_run_takes_so_many_and_the_next_goes_on(tenant: Tenant) -> None:
    for _ in range(6):
        ended(tenant, days=40)
    assert retention.purge_expired(NOW, batch=2, at_most=3).deleted == 4
    assert retention.purge_expired(NOW, batch=2, at_most=3).deleted == 2


def test_only_failed_jobs_can_be_purged(tenant: Tenant) -> None:
    ended(tenant, days=9, status="failed")
    kept = [ended(tenant, days=9), ended(tenant, days=9, status="cancelled"), ended(tenant, days=1, status="failed")]
    arguments: dict[str, Any] = {"older_than": timedelta(days=7), "failed_only": True, "anonymise": False}
    assert retention.count_expired(tenant, **arguments) == 1
    assert retention.purge(tenant, **arguments) == 1
    assert left() == {job.pk for job in kept}


def test_a_purge_of_one_tenant_leaves_anothers_jobs(tenant: Tenant) -> None:
    other = ended(TenantFactory.create(), days=40)
    ended(tenant, days=40)
    assert retention.purge(tenant, older_than=timedelta(days=1), anonymise=False) == 1
    assert left() == {other.pk}


def test_the_number_said_before_is_the_number_purged_with_whole_batches(tenant: Tenant) -> None:
    batch(tenant, "succeeded", "failed")
    ended(tenant, days=31)
    arguments: dict[str, Any] = {"older_than": timedelta(days=30), "anonymise": False}
    assert retention.count_expired(tenant, **arguments) == 4
    assert retention.purge(tenant, **arguments) == 4


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("anonymise", [True, False])
def test_a_job_that_is_being_retried_is_not_purged(anonymise: bool) -> None:
    tenant = TenantFactory.create()
    retried, other = ended(tenant, days=31, status="failed"), ended(tenant, days=31)
    found: list[int] = []

    def purge() -> None:
        found.append(retention.purge(tenant, older_than=timedelta(days=1), anonymise=anonymise))

    with transaction.atomic():
        Job.objects.filter(pk=retried.pk).update(status="queued", finished_at=None)
        at_once(purge)
    assert found == [1]
    retried.refresh_from_db()
    assert (retried.status, retried.anonymised_at, retried.end_user) == ("queued", None, WORDS)
    other_left = Job.objects.filter(pk=other.pk, anonymised_at=None)
    assert not other_left.exists()


@pytest.mark.postgresql
@pytest.mark.django_db(transaction=True)
def test_purges_at_once_with_claims_delete_each_old_job_once_and_no_running_one() -> None:
    tenant = TenantFactory.create()
    for _ in range(60):
        ended(tenant, days=31)
    waiting = [ended(tenant, days=31, status="queued", finished_at=None) for _ in range(20)]
    deleted: list[int] = []

    def purge() -> None:
        deleted.append(retention.purge_expired(NOW, batch=7).deleted)

    def claim(ids: list[Any]) -> Callable[[], None]:
        def run() -> None:
            for pk in ids:
                until = timezone.now() + timedelta(minutes=1)
                Job.objects.filter(pk=pk, status="queued").update(status="running", lease_until=until)

        return run

    halves = [claim([job.pk for job in waiting[half::2]]) for half in (0, 1)]
    at_once(purge, purge, purge, *halves)
    assert sum(deleted) == 60
    assert set(Job.objects.values_list("status", flat=True)) == {"running"}
    assert Job.objects.count() == 20
