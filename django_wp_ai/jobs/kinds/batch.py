"""Many jobs of one kind, and one result of them all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from django_wp_ai.bridge import in_thread
from django_wp_ai.conf import settings
from django_wp_ai.exceptions import Invalid
from django_wp_ai.jobs import inputs, registry, usage
from django_wp_ai.jobs.context import Child, JobContext, JobFailed, NewJob
from django_wp_ai.jobs.registry import JobKind, job_kind
from django_wp_ai.models import Job, Tenant
from django_wp_ai.schemas.base import Strict

MAX_RESULT_BYTES = 900_000  # a larger aggregate leaves the results to the children
SHOWN_ERRORS = 50


class BatchIn(Strict):
    """``items`` are inputs of ``kind``; ``metadata`` goes to each job, with ``ordinal`` added."""

    kind: Annotated[str, Field(max_length=64)]
    items: Annotated[list[dict[str, Any]], Field(min_length=1)]
    metadata: dict[str, Any] = {}

    @model_validator(mode="after")
    def items_fit_their_kind(self) -> Self:
        """What a job would be refused with is told at once, with its place."""
        if len(self.items) > settings.batch_max_jobs:
            raise ValueError(f"at most {settings.batch_max_jobs} items")
        if len(json.dumps(self.metadata)) > inputs.MAX_METADATA_BYTES - 100:  # room for the ordinal
            raise ValueError(f"metadata has less than {inputs.MAX_METADATA_BYTES} bytes")
        if self.kind == "batch":
            raise ValueError("a batch holds no batches")
        try:
            kind = registry.offered(self.kind)
        except Invalid as unknown:
            raise ValueError(unknown.detail) from None
        wrong = [error for ordinal, item in enumerate(self.items) for error in _errors(kind, ordinal, item)]
        if wrong:
            raise ValidationError.from_exception_data("batch", wrong[:SHOWN_ERRORS])
        return self


def _errors(kind: JobKind, ordinal: int, item: dict[str, Any]) -> list[InitErrorDetails]:
    try:
        kind.input.model_validate_json(json.dumps(item))
    except ValidationError as found:
        return [
            InitErrorDetails(
                type=PydanticCustomError("item", "{told}", {"told": inputs.message_of(each)}),
                loc=("items", ordinal, *each["loc"]),
                input=None,
            )
            for each in found.errors(include_url=False, include_context=False, include_input=False)
        ]
    return []


class BatchItemOut(Strict):
    """How one job ended; ``id`` leads to it. ``result`` stands here unless the results of all are too large."""

    ordinal: int
    id: str
    status: str
    result: Any = None
    error: dict[str, str] | None = None


class BatchUsageOut(Strict):
    """Of all jobs together; US dollars as text, null where the price of one is not known."""

    input_tokens: int
    output_tokens: int
    cost_usd: str | None
    estimated: bool


class BatchOut(Strict):
    """All jobs in the order of the items. ``results_left_out``: read each job's own result."""

    total: int
    succeeded: int
    failed: int
    cancelled: int
    results: list[BatchItemOut]
    results_left_out: bool = False
    usage: BatchUsageOut


@job_kind("batch", input=BatchIn, output=BatchOut)
async def batch(context: JobContext, given: BatchIn) -> BatchOut:
    """Begin the jobs, wait for them without holding a worker, and gather. It fails only where all have failed."""
    await context.begin_children(
        [
            NewJob(kind=given.kind, input=item, metadata={**given.metadata, "ordinal": ordinal})
            for ordinal, item in enumerate(given.items)
        ]
    )
    children = await context.children(most_bytes=MAX_RESULT_BYTES)
    return await in_thread(_gathered, context.tenant, context.job_id, children)


def _gathered(tenant: Tenant, job_id: UUID, children: list[Child]) -> BatchOut:
    ended = Counter(child.status for child in children)
    if ended[Job.Status.FAILED] == len(children):
        codes = Counter(child.error["code"] for child in children if child.error)
        told = ", ".join(f"{code} ({count})" for code, count in codes.most_common(3))
        raise JobFailed(f"All {len(children)} jobs have failed: {told}.", code="all_failed")
    mine = Job.objects.for_tenant(tenant)
    ids = dict(mine.filter(parent=job_id).values_list("ordinal", "pk"))
    used = usage.totals(mine.get(pk=job_id))
    found = BatchOut(
        total=len(children),
        succeeded=ended[Job.Status.SUCCEEDED],
        failed=ended[Job.Status.FAILED],
        cancelled=ended[Job.Status.CANCELLED],
        results=[_item(child, ids[child.ordinal]) for child in children],
        usage=BatchUsageOut(
            input_tokens=used["input_tokens"],
            output_tokens=used["output_tokens"],
            cost_usd=None if used["cost_usd"] is None else f"{used['cost_usd'].normalize():f}",
            estimated=used["is_estimated"],
        ),
    )
    if any(child.is_left_out for child in children):
        return found.model_copy(update={"results_left_out": True})
    if len(found.model_dump_json()) > MAX_RESULT_BYTES:
        bare = [each.model_copy(update={"result": None}) for each in found.results]
        return found.model_copy(update={"results": bare, "results_left_out": True})
    return found


def _item(child: Child, job_id: UUID) -> BatchItemOut:
    error = child.error and {"code": child.error["code"], "message": child.error["message"][:200]}
    return BatchItemOut(ordinal=child.ordinal, id=str(job_id), status=child.status, result=child.result, error=error)
