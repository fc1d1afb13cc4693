"""The ledger of a job's paid parts: marked before they are sent, kept with their result after. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from django_wp_ai.jobs import payload, step_statement
from django_wp_ai.jobs.held import Claim, is_postgresql, lock_held, one_transaction
from django_wp_ai.jobs.interrupts import LeaseLost
from django_wp_ai.models import Job, JobStep

MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Step:
    """A step that is to be sent, or one with a ``result`` (which may be None) that needs no sending."""

    sends: int
    is_done: bool = False
    result: Any = None


def send_first(claim: Claim, name: str) -> Step | None:
    """As ``standing.require_standing`` and ``begin``, for most steps in one statement.

    None, and nothing changed, where the two are to be asked: they know why.
    """
    if is_postgresql() and 1 <= len(name) <= MAX_NAME and step_statement.send(claim, name):
        return Step(1)
    return None


def begin(claim: Claim, name: str) -> Step:
    """Mark the step as sent; a step that is done comes with its result. Raises LeaseLost.

    A step that was sent and neither done nor forgotten was cut off: it is sent again, and the job counts that it may
    be paid for twice.
    """
    if not 1 <= len(name) <= MAX_NAME:
        raise ValueError(f"A step's name has 1 to {MAX_NAME} characters: {name[:20]!r}…")
    with one_transaction():
        if (held := lock_held(claim)) is None:
            raise LeaseLost
        job, at = held
        known = JobStep.objects.filter(job=job, name=name)
        step = known.first()
        if step is None:
            JobStep.objects.create(job=job, name=name, fence=claim.fence, sent_at=at)
            return Step(1)
        if step.state == JobStep.State.DONE:
            return Step(step.sends, is_done=True, result=payload.unseal(step.result_sealed or b""))
        known.update(sends=F("sends") + 1, fence=claim.fence, sent_at=at)
        Job.objects.filter(pk=job.pk).update(repeated_calls=F("repeated_calls") + 1)
        return Step(step.sends + 1)


def done(claim: Claim, name: str, result: Any) -> bool:
    """Keep the JSON-serialisable result; False where the claim is lost."""
    sealed = payload.seal(result)
    if is_postgresql():
        return step_statement.done(claim, name, sealed)
    with one_transaction():
        if (held := lock_held(claim)) is None:
            return False
        sent = JobStep.objects.filter(job=held[0], name=name, fence=claim.fence, state=JobStep.State.SENT)
        return bool(sent.update(state=JobStep.State.DONE, result_sealed=sealed, done_at=held[1]))


def forget(claim: Claim, name: str) -> bool:
    """The step ended with an error that is known, so sending it again repeats nothing unseen."""
    with one_transaction():
        if lock_held(claim) is None:
            return False
        sent = JobStep.objects.filter(job=claim.job, name=name, fence=claim.fence, state=JobStep.State.SENT)
        return bool(sent.delete()[0])


def discard(claim: Claim, names: Sequence[str]) -> bool:
    """Forget steps that are done: their results are of no use, and a retry is to ask anew."""
    with one_transaction():
        if lock_held(claim) is None:
            return False
        JobStep.objects.filter(job=claim.job, name__in=names, state=JobStep.State.DONE).delete()
    return True


def set_progress(claim: Claim, percent: int) -> bool:
    """Note how far the job is; False where the claim is lost."""
    return bool(Job.objects.held(claim.job.pk, claim.fence).update(progress=percent))
