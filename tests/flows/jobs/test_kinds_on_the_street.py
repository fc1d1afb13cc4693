"""What bounds a call bounds the calls of jobs: limits, budgets, content rules, revoked keys, failing vendors."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from django_wp_ai.models import Credential, Job, Tenant, UsageEvent
from django_wp_ai.models.budget import attach_budgets
from tests.flows.jobs.working import Work, result_of, steps_of
from tests.vendor.running import RunningVendor

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}}
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("chat", {"prompt": "Bread {}"}),
    ("summary", {"text": "Bread {}"}),
    ("classify", {"text": "Bread {}", "labels": ["food", "drink"]}),
    ("extract", {"text": "Bread {}", "schema": SCHEMA}),
]


def of(given: dict[str, Any], wish: str = "") -> dict[str, Any]:
    """The input with a wish to the stand-in in its text."""
    return {name: value.format(wish) if isinstance(value, str) else value for name, value in given.items()}


def change(work: Work, **fields: Any) -> None:
    Tenant.objects.filter(pk=work.tenant.pk).update(**fields)


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_a_rate_limit_puts_a_job_off_and_counts_no_attempt(
    work: Work, vendor: RunningVendor, kind: str, given: dict[str, Any]
) -> None:
    change(work, rpm=1)
    jobs = [work.queue(kind, of(given, f"number {number}")) for number in range(2)]
    work.run_due()
    found = sorted(Job.objects.filter(pk__in=[job.pk for job in jobs]), key=lambda job: job.status)
    assert [job.status for job in found] == ["queued", "succeeded"]
    assert found[0].attempts == 0
    assert found[0].timeline[-1]["error"] == "rate_limited"
    assert len(vendor.requests) == 1


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_a_budget_that_is_used_up_fails_a_job_before_anything_is_sent(
    work: Work, vendor: RunningVendor, kind: str, given: dict[str, Any]
) -> None:
    change(work, budget_day_usd=Decimal("0.000001"))
    attach_budgets([Tenant.objects.get(pk=work.tenant.pk)])
    job = work.done(kind, of(given))
    assert (job.status, job.error_code) == ("failed", "budget_exceeded")
    assert not vendor.requests
    assert steps_of(job) == []


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_content_rules_and_allowed_models_hold(work: Work, vendor: RunningVendor, kind: str, given: Any) -> None:
    change(work, denied_terms=["gizmo"])
    assert work.done(kind, of(given, "gizmo")).error_code == "content_blocked"
    change(work, denied_terms=[], allowed_models=["gpt-4o"])
    assert work.done(kind, of(given, "other")).error_code == "model_not_allowed"
    assert not vendor.requests


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_personal_data_is_hidden_from_the_provider_and_stands_in_the_answer(
    work: Work, vendor: RunningVendor, kind: str, given: Any
) -> None:
    change(work, redact_pii=True)
    job = work.done(kind, of(given, "of ann@example.org"))
    assert job.status == "succeeded", job.error_message
    assert "ann@example.org" not in str(vendor.requests[-1].body)
    echoed = kind in ("chat", "summary")
    assert ("ann@example.org" in str(result_of(job))) is echoed


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_a_vendor_that_is_down_is_asked_again_later(work: Work, kind: str, given: Any) -> None:
    job = work.done(kind, of(given, "[[status=503]]"))
    assert (job.status, job.attempts, job.timeline[-1]["outcome"]) == ("queued", 1, "retried")
    assert {row.state for row in UsageEvent.objects.all()} <= {"settled"}


@pytest.mark.parametrize(("kind", "given"), KINDS)
def test_a_revoked_credential_ends_its_jobs(work: Work, vendor: RunningVendor, kind: str, given: Any) -> None:
    job = work.queue(kind, of(given))
    credential = Credential.objects.get(pk=work.street.principal.credential.pk)
    Credential.objects.filter(pk=credential.pk).update(revoked_at=credential.created_at)
    work.run_due()
    job.refresh_from_db()
    assert (job.status, job.error_code) == ("failed", "forbidden")
    assert not vendor.requests
