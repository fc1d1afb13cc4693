"""What a kind's function may do, and that an attempt after another pays for nothing twice."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from django_wp_ai.bridge import CallerThread, in_thread
from django_wp_ai.datatypes import EmbeddingRequest, Principal
from django_wp_ai.exceptions import Forbidden, RateLimited
from django_wp_ai.jobs import claims, ending
from django_wp_ai.jobs.claims import Claim
from django_wp_ai.jobs.context import JobContext, JobFailed, LeaseLost, Waiting
from django_wp_ai.models import Credential, JobStep, Tenant, UsageEvent
from tests.flows.conftest import asking
from tests.flows.jobs.conftest import claimed, fresh, new, site
from tests.flows.jobs.test_leases import taken_over

T = TypeVar("T")


def run(flow: Coroutine[Any, Any, T]) -> T:
    return CallerThread().drive(flow)


def again(claim: Claim) -> Claim:
    """The next attempt."""
    assert ending.give_back(claim)
    [other] = claims.claim(worker="w", at_most=1)
    return other


def giving(value: Any, calls: list[str]) -> Callable[[], Awaitable[Any]]:
    async def send() -> Any:
        calls.append("sent")
        return value

    return send


def test_a_chat_goes_down_the_street_in_the_name_of_whoever_created_the_job(db: None) -> None:
    principal = site()
    claim = claimed(principal, end_user="7", plugin="p", request_id="r-1")
    answer = run(JobContext(claim).chat("ask", asking("What is a tenant? A tenant is one site.")))
    assert "tenant" in answer.text
    row = UsageEvent.objects.get()
    assert (row.tenant_id, row.credential_id, row.route) == (principal.tenant.pk, principal.credential.pk, "jobs")
    assert (row.trace_id, row.step, row.end_user, row.plugin, row.request_id) == (claim.job.pk, 1, "7", "p", "r-1")
    assert ending.succeed(claim, {"text": answer.text})
    job = fresh(claim)
    assert (job.input_tokens, job.output_tokens) == (row.input_tokens, row.output_tokens)
    assert (job.cost_usd, job.is_estimated) == (row.cost_usd, row.estimated)


def test_an_attempt_after_it_gets_the_same_answer_without_a_call(principal: Principal) -> None:
    claim = claimed(principal)
    first = run(JobContext(claim).chat("ask", asking("Is it so? It is so.")))
    vectors = run(JobContext(claim).embed("embed", EmbeddingRequest(inputs=("a", "b"))))
    assert UsageEvent.objects.count() == 2
    claim = again(claim)
    assert run(JobContext(claim).chat("ask", asking("Is it so? It is so."))) == first
    assert run(JobContext(claim).embed("embed", EmbeddingRequest(inputs=("a", "b")))) == vectors
    assert [len(vector) > 0 for vector in vectors] == [True, True]
    assert UsageEvent.objects.count() == 2
    assert b"It is so" not in bytes(JobStep.objects.get(name="ask").result_sealed or b"")


def test_a_step_of_the_hosts_own_is_done_once(principal: Principal) -> None:
    claim, calls = claimed(principal), []  # type: ignore[var-annotated]
    assert run(JobContext(claim).step("mail", giving({"id": 5}, calls))) == {"id": 5}
    assert run(JobContext(again(claim)).step("mail", giving({"id": 6}, calls))) == {"id": 5}
    assert calls == ["sent"]


def test_a_step_that_failed_is_sent_again_without_being_counted_as_repeated(principal: Principal) -> None:
    claim, calls = claimed(principal), []  # type: ignore[var-annotated]

    async def failing() -> None:
        raise JobFailed("No.", code="broken")

    with pytest.raises(JobFailed) as failed:
        run(JobContext(claim).step("mail", failing))
    assert (failed.value.code, failed.value.detail, JobFailed.code) == ("broken", "No.", "job_failed")
    assert run(JobContext(claim).step("mail", giving(1, calls))) == 1
    assert fresh(claim).repeated_calls == 0


def test_who_lost_the_job_sends_nothing_and_knows_it(principal: Principal) -> None:
    claim, calls = claimed(principal), []  # type: ignore[var-annotated]
    context = JobContext(claim)
    taken_over(claim)
    for flow in (context.step("mail", giving(1, calls)), context.chat("ask", asking("Hi")), context.progress(5)):
        with pytest.raises(LeaseLost):
            run(flow)
    assert calls == []
    assert not UsageEvent.objects.exists()


def test_a_result_that_comes_after_the_job_was_lost_is_not_kept(principal: Principal) -> None:
    claim = claimed(principal)

    async def slow() -> int:
        await in_thread(taken_over, claim)
        return 1

    with pytest.raises(LeaseLost):
        run(JobContext(claim).step("mail", slow))
    assert JobStep.objects.get().state == "sent"


def test_no_except_clause_of_a_kind_holds_up_an_interruption() -> None:
    assert not issubclass(LeaseLost, Exception)
    assert not issubclass(Waiting, Exception)


def test_progress_goes_up_only_and_ends_below_a_hundred(principal: Principal) -> None:
    claim = claimed(principal)
    context = JobContext(claim)
    seen = []
    for percent in (40, 20, 60, 400):
        run(context.progress(percent))
        seen.append(fresh(claim).progress)
    assert seen == [40, 40, 60, 99]


def test_children_are_waited_for_and_read_by_their_place(principal: Principal) -> None:
    parent = claimed(principal)
    context = JobContext(parent)
    assert run(context.begin_children([new("a"), new("b")])) == 2
    with pytest.raises(Waiting):
        run(context.children())
    ending.wait_for_children(parent)
    one, other = sorted(claims.claim(worker="w", at_most=2), key=lambda claim: claim.job.ordinal or 0)
    ending.succeed(one, {"text": "A"})
    ending.fail(other, code="invalid", message="No.")
    [parent] = claims.claim(worker="w", at_most=1)
    first, second = run(JobContext(parent).children())
    assert (first.ordinal, first.status, first.result, first.error) == (0, "succeeded", {"text": "A"}, None)
    assert (second.status, second.result, second.error) == ("failed", None, {"code": "invalid", "message": "No."})


def revoke(principal: Principal) -> None:
    principal.credential.revoke()


def delete(principal: Principal) -> None:
    Credential.objects.filter(pk=principal.credential.pk).delete()


def deactivate(principal: Principal) -> None:
    Tenant.objects.filter(pk=principal.tenant.pk).update(is_active=False)


@pytest.mark.parametrize("stop", [revoke, delete, deactivate])
def test_a_job_of_a_credential_or_site_out_of_use_calls_nobody(
    principal: Principal, stop: Callable[[Principal], None]
) -> None:
    claim, calls = claimed(principal), []  # type: ignore[var-annotated]
    context = JobContext(claim)
    stop(principal)
    with pytest.raises(Forbidden):
        run(context.step("mail", giving(1, calls)))
    assert calls == []


@pytest.mark.parametrize("stop", [revoke, delete])
def test_a_job_is_not_begun_for_a_credential_out_of_use(
    principal: Principal, stop: Callable[[Principal], None]
) -> None:
    claim = claimed(principal)
    stop(principal)
    with pytest.raises(Forbidden):
        JobContext(again(claim))


def test_the_scope_jobs_is_enough_for_a_jobs_own_calls(db: None) -> None:
    principal = site()
    Credential.objects.filter(pk=principal.credential.pk).update(scopes=["jobs"])
    claim = claimed(principal)
    claim.job.caller["scopes"] = ["jobs"]
    assert run(JobContext(claim).chat("ask", asking("Is it so? It is so."))).text


def test_a_jobs_calls_count_as_calls_of_the_site_but_not_again_as_jobs(db: None) -> None:
    claim = claimed(site(rpm=2, ip_rpm=0, routes={"jobs": {"rpm": 1}}))
    context = JobContext(claim)
    run(context.chat("one", asking("Is it so? It is so.")))
    run(context.chat("two", asking("Is it so? It is so.", temperature=1.0)))
    with pytest.raises(RateLimited) as refused:
        run(context.chat("three", asking("Is it so? It is so.", temperature=0.9)))
    assert "2 requests in 60 s" in refused.value.detail
