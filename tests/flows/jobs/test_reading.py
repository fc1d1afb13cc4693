"""What is told of a job, and how attempts end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, NotFound
from django_wp_ai.jobs import claims, ending, reading
from django_wp_ai.models import Job
from tests.flows.jobs.conftest import claimed, fresh, queued, site


def test_a_result_that_no_key_opens_is_told_as_an_error(principal: Principal) -> None:
    claim = claimed(principal)
    ending.succeed(claim, {"text": "x"})
    Job.objects.update(result_sealed=b"sealed with another key")
    told = reading.describe(fresh(claim))
    assert (told["status"], told["result"], told["error"]["code"]) == ("succeeded", None, "unreadable")


def test_a_result_of_more_than_a_megabyte_fails_the_job(principal: Principal) -> None:
    claim = claimed(principal)
    assert ending.succeed(claim, {"text": "x" * 1024 * 1024})
    assert reading.describe(fresh(claim))["error"]["code"] == "too_large"


def test_another_sites_job_is_not_there(principal: Principal) -> None:
    job = queued(principal)
    with pytest.raises(NotFound):
        reading.find(site().tenant, job.pk)


@pytest.mark.parametrize("cursor", ["x", "é", "AAAA", "MjAyNi0wMS0wMSB4"])
def test_a_cursor_that_was_made_up_is_refused(principal: Principal, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        reading.page(principal.tenant, cursor=cursor)
    assert refused.value.errors[0]["field"] == "cursor"


def test_a_list_is_narrowed_by_state_and_kind(principal: Principal) -> None:
    claim, waiting = claimed(principal), queued(principal)
    assert [job.pk for job in reading.page(principal.tenant, status="queued", kind="echo").jobs] == [waiting.pk]
    assert [job.pk for job in reading.page(principal.tenant, status="running").jobs] == [claim.job.pk]
    assert reading.page(principal.tenant, kind="other").jobs == []
    with pytest.raises(Invalid):
        reading.page(principal.tenant, status="odd")


def test_a_refusal_for_a_while_does_not_count_but_has_an_end(principal: Principal) -> None:
    claim = claimed(principal)
    assert ending.retry_later(claim, code="rate_limited", message="Later.", after_s=60, counts=False)
    job = fresh(claim)
    assert (job.status, job.attempts) == ("queued", 0)
    assert job.run_after >= (job.claimed_at or job.created_at) + timedelta(seconds=60)
    Job.objects.update(run_after=Now() - timedelta(seconds=1), started_at=Now() - timedelta(hours=25))
    [claim] = claims.claim(worker="w", at_most=1)
    assert ending.retry_later(claim, code="rate_limited", message="Later.", after_s=60, counts=False)
    assert (fresh(claim).status, fresh(claim).error_code) == ("failed", "rate_limited")
