"""A worker without a loop of its own: what is due is run from the test's thread, which sees the rows."""

from __future__ import annotations

from typing import Any

from django_wp_ai.jobs import attempt, claims, payload
from django_wp_ai.jobs.create import NewJob, create
from django_wp_ai.models import Job, JobStep, UsageEvent
from tests.flows.conftest import Street

VENDOR = "openai:gpt-4o-mini"
OFFLINE = "offline:offline-extractive"


class Work:
    """Jobs of one site."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.tenant = street.principal.tenant

    def queue(self, kind: str, input: dict[str, Any], **fields: Any) -> Job:  # noqa: A002 - the word of the trade
        return create(self.street.principal, NewJob(kind=kind, input=input, **fields)).job

    def run_due(self) -> None:
        """Run jobs until none is due."""
        while claimed := claims.claim(worker="worker", at_most=100):
            for claim in claimed:
                ended = self.street.run(attempt.run(claim))
                assert ended.write()

    def done(self, kind: str, input: dict[str, Any], **fields: Any) -> Job:  # noqa: A002
        """A job that was created and run."""
        job = self.queue(kind, input, **fields)
        self.run_due()
        job.refresh_from_db()
        return job

    def result(self, kind: str, input: dict[str, Any], **fields: Any) -> Any:  # noqa: A002
        """The result of a job that must succeed."""
        job = self.done(kind, input, **fields)
        assert job.status == "succeeded", (job.status, job.error_code, job.error_message)
        return result_of(job)

    def calls(self, job: Job) -> list[UsageEvent]:
        """Its rows in the ledger."""
        return list(UsageEvent.objects.for_tenant(self.tenant).filter(trace_id=job.pk).order_by("created_at"))


def result_of(job: Job) -> Any:
    """What a job ended with."""
    assert job.result_sealed is not None
    return payload.unseal(job.result_sealed)


def steps_of(job: Job) -> list[str]:
    """The names of its steps, in their order."""
    return list(JobStep.objects.filter(job=job).values_list("name", flat=True))
