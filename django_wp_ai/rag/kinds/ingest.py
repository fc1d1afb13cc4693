"""Documents that were handed in are read, cut, embedded, and take the place of what they were before.

Created by ``rag.ingest.accept`` only. Whatever interrupts it, what was embedded is not embedded again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import Annotated

from pydantic import Field

from django_wp_ai.bridge import in_thread
from django_wp_ai.jobs import payload
from django_wp_ai.jobs.context import JobContext, JobFailed
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.models import Document, Job
from django_wp_ai.rag.embedding import serving_model
from django_wp_ai.rag.ingest import staging, swapping, vectors
from django_wp_ai.rag.ingest.accepting import KIND
from django_wp_ai.rag.ingest.cutting import cut_all
from django_wp_ai.rag.ingest.entries import Entry, Work
from django_wp_ai.rag.ingest.loading import load
from django_wp_ai.rag.ingest.rows import hold
from django_wp_ai.schemas.base import Strict
from django_wp_ai.security.secrets import UndecryptableSecret

MAX_MOVES = 3  # of the site to another model, while one job runs
SHOWN_ERRORS = 50


class IngestIn(Strict):
    """The documents of one job."""

    documents: Annotated[list[Entry], Field(min_length=1)]


class FailedOut(Strict):
    """A document that could not be indexed, and why."""

    source_id: str
    code: str
    message: str


class IngestOut(Strict):
    """How many documents became what; ``embedded`` texts were sent to the model, the other chunks had a vector."""

    indexed: int
    unchanged: int
    superseded: int
    deleted: int
    failed: int
    chunks: int
    embedded: int
    errors: list[FailedOut] = []


def note_failure(job: Job, code: str, message: str) -> None:
    """A job that ended without success leaves no document that seems to be under way."""
    try:  # an input of another version of this app may look otherwise, and must not keep its job from ending
        tells = {entry["document"]: entry.get("tells", True) for entry in payload.unseal(job.input_sealed)["documents"]}
    except (UndecryptableSecret, ValueError, LookupError, TypeError, AttributeError):
        tells = {}
    mine = Document.objects.for_tenant(job.tenant).filter(job_id=job.pk)
    ids = list(mine.values_list("pk", flat=True))
    hold(job.tenant, ids)
    for pk in sorted(ids):
        swapping.mark_failed(job.tenant, job.pk, pk, code, message, tells=tells.get(pk, True))


@job_kind(KIND, input=IngestIn, output=IngestOut, deadline_s=3600, is_internal=True, on_failure=note_failure)
async def ingest(context: JobContext, given: IngestIn) -> IngestOut:
    """Index what is still this job's; a document that can't be read fails alone."""
    works = await load(context, given.documents)
    await asyncio.to_thread(cut_all, works)
    sent = 0
    for _ in range(MAX_MOVES):
        try:
            sent += await _index(context, works)
            break
        except swapping.ModelMoved:
            continue
    else:
        raise JobFailed("The site's embedding model changed again and again.", code="conflict")
    return _outcome(works, sent)


async def _index(context: JobContext, works: list[Work]) -> int:
    model, tenant, sent = "", context.tenant, 0
    if any(work.is_open for work in works):
        model = await in_thread(serving_model, tenant)
        missing = await context.commit(partial(staging.stage, tenant, context.job_id, works, model))
        sent = await vectors.embed(context, missing, model)
    await context.commit(partial(swapping.swap, tenant, context.job_id, works, model))
    swapping.served(works)
    return sent


def _outcome(works: list[Work], sent: int) -> IngestOut:
    became = Counter("failed" if work.failure is not None else work.outcome for work in works)
    failures = [(work, work.failure) for work in works if work.failure is not None]
    errors = [
        FailedOut(source_id=work.document.source_id, code=error.code, message=error.detail or error.title)
        for work, error in failures[:SHOWN_ERRORS]
    ]
    if failures and len(failures) == len(works):
        if len(works) == 1:
            raise failures[0][1]
        codes = ", ".join(f"{code} ({count})" for code, count in Counter(one.code for one in errors).most_common(3))
        raise JobFailed(f"None of {len(works)} documents could be indexed: {codes}.", code="all_failed")
    return IngestOut(
        indexed=became["indexed"],
        unchanged=became["unchanged"],
        superseded=became["superseded"],
        deleted=became["deleted"],
        failed=became["failed"],
        chunks=sum(len(work.passages) for work in works if work.outcome == "indexed"),
        embedded=sent,
        errors=errors,
    )
