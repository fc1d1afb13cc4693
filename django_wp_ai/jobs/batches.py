"""Jobs that belong to another job: created once, and read when they have ended. Blocking."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from django_wp_ai.conf import settings
from django_wp_ai.jobs import inputs, payload
from django_wp_ai.jobs.held import Claim, lock_held, one_transaction
from django_wp_ai.jobs.interrupts import LeaseLost
from django_wp_ai.jobs.new import NewJob, work_of
from django_wp_ai.jobs.waking import wake
from django_wp_ai.models import Job


@dataclass(frozen=True, slots=True)
class Child:
    """How one job of a batch ended; ``error`` has ``code`` and ``message``. A result may be left out for its size."""

    ordinal: int
    status: str
    result: Any
    error: dict[str, str] | None
    is_left_out: bool = False


def create_children(parent_claim: Claim, items: Sequence[NewJob]) -> int:
    """Write one job for each item that has none yet, by its place; how many were written.

    They have their parent's site, caller, end user and priority, and no callback of their own. Raises LeaseLost, and
    Invalid for an item that breaks a rule: then none is written.
    """
    if len(items) > settings.batch_max_jobs:
        raise inputs.invalid("input.items", f"At most {settings.batch_max_jobs} jobs.")
    rows = [_row(parent_claim.job, ordinal, item) for ordinal, item in enumerate(items)]
    with one_transaction():
        if (held := lock_held(parent_claim)) is None:
            raise LeaseLost
        mine = Job.objects.for_tenant(held[0].tenant).filter(parent=held[0].pk)
        known = set(mine.values_list("ordinal", flat=True))
        missing = [row for row in rows if row.ordinal not in known]
        Job.objects.bulk_create(missing, batch_size=100)
        if missing:
            wake(missing[0].pk)  # workers who look for one job find them all
    return len(missing)


def _row(parent: Job, ordinal: int, item: NewJob) -> Job:
    job = work_of(parent.tenant, item, field=f"items.{ordinal}.")
    job.parent_id, job.ordinal = parent.pk, ordinal
    job.credential_id, job.caller = parent.credential_id, parent.caller
    job.end_user, job.request_id = parent.end_user, parent.request_id
    job.priority = parent.priority
    job.input_hash = payload.digest(str(parent.pk), ordinal)
    return job


def ended_children(parent_claim: Claim, *, most_bytes: int | None = None) -> list[Child] | None:
    """All children by their place; None while one has not ended.

    Where their results have more than ``most_bytes`` of JSON together, all are left out, and no more of them is read.
    """
    mine = Job.objects.for_tenant(parent_claim.job.tenant).filter(parent=parent_claim.job.pk)
    if mine.unfinished().exists():
        return None
    children: list[Child] = []
    room = most_bytes
    for job in mine.defer("input_sealed").order_by("ordinal").iterator(chunk_size=20):
        children.append(_child(job, reads=room is None or room >= 0))
        if room is not None and room >= 0:
            room -= len(json.dumps(children[-1].result))
            if room < 0:
                children = [_bare(child) for child in children]
    return children


def _child(job: Job, *, reads: bool) -> Child:
    failed = {"code": job.error_code, "message": job.error_message}
    has_result = job.status == Job.Status.SUCCEEDED and bool(job.result_sealed)
    return Child(
        ordinal=job.ordinal or 0,
        status=str(job.status),
        result=payload.unseal(job.result_sealed or b"") if has_result and reads else None,
        error=None if has_result else failed,
        is_left_out=has_result and not reads,
    )


def _bare(child: Child) -> Child:
    return replace(child, result=None, is_left_out=child.error is None)
