"""A look through a site: what it has published is taken in, where it changed, and what it has no more is taken out.

It pulls page by page and hands over what it finds, so many documents a job; that nothing has changed costs no call.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import partial

from django.utils import timezone

from django_wp_ai.bridge import in_thread
from django_wp_ai.jobs.context import JobContext
from django_wp_ai.jobs.registry import job_kind
from django_wp_ai.models import Document, Job, SiteIndex, Tenant
from django_wp_ai.rag.ingest import deleting
from django_wp_ai.rag.ingest.background import SYNC
from django_wp_ai.rag.ingest.new import NewDocument
from django_wp_ai.rag.ingest.pulling import passing
from django_wp_ai.rag.ingest.revision import locked_index
from django_wp_ai.rag.ingest.sets import Intake, new_of
from django_wp_ai.rag.sources import wordpress
from django_wp_ai.rag.sources.base import SourceFailed
from django_wp_ai.schemas.base import Strict

AT_ONCE = 500


class SyncIn(Strict):
    """``full``: everything is compared; else what has changed since the last one. Deletions are found either way."""

    full: bool = False


class SyncOut(Strict):
    """How many documents were seen, and what became of them; ``queued`` are being indexed by jobs of their own."""

    full: bool
    seen: int
    queued: int
    unchanged: int
    outdated: int
    refused: int
    deleted: int


def note_failure(job: Job, code: str, message: str) -> None:
    """Keep why the site could not be looked through where people look for it."""
    SiteIndex.objects.for_tenant(job.tenant).update(sync_error=f"{code}: {message}"[:500])


@job_kind(
    SYNC, input=SyncIn, output=SyncOut, deadline_s=4 * 3600, is_internal=True, single=True, on_failure=note_failure
)
async def sync(context: JobContext, given: SyncIn) -> SyncOut:
    """Safe to be run again from its beginning: what was taken in is known by then."""
    tenant, began = context.tenant, timezone.now()
    index = await context.commit(partial(locked_index, tenant))
    is_full = given.full or index.synced_at is None
    taking = Intake(context.principal)
    try:
        seen, wordless = await _take_in(taking, tenant, None if is_full else index.synced_at, began)
        ids = await wordpress.all_ids(tenant) - wordless
    except SourceFailed as error:
        raise passing(error) from None
    deleted = await in_thread(_delete_all_but, tenant, ids, began)
    await context.commit(partial(_note, tenant, began, is_full=is_full))
    return SyncOut(
        full=is_full,
        seen=seen,
        queued=taking.counts["queued"],
        unchanged=taking.counts["unchanged"],
        outdated=taking.counts["outdated"],
        refused=taking.counts["refused"],
        deleted=deleted,
    )


async def _take_in(taking: Intake, tenant: Tenant, since: datetime | None, began: datetime) -> tuple[int, set[str]]:
    """Page by page; how many were seen, and which say nothing: what they said before is to go."""
    seen = 0
    wordless: set[str] = set()
    async for page in wordpress.pages(tenant, since=since):
        seen += len(page)
        wordless |= await in_thread(_add, taking, [new_of(found, seen_at=began) for found in page])
    await in_thread(taking.flush)
    return seen, wordless


def _add(taking: Intake, page: list[NewDocument]) -> set[str]:
    wordless = {new.source_id for new in page if new.is_wordless}
    taking.counts["refused"] += len(wordless)
    for new in page:
        if new.source_id not in wordless:
            taking.add(new)
    return wordless


def _delete_all_but(tenant: Tenant, ids: set[str], began: datetime) -> int:
    """Documents of the types that are pulled which the site shows no more."""
    types = tenant.content_types or wordpress.DEFAULT_TYPES
    pulled = Document.objects.for_tenant(tenant).living().filter(post_type__in=types, updated_at__lt=began)
    names = pulled.values_list("source_id", "post_type").iterator()
    gone = [name for name, kind in names if name not in ids and _is_pulled(name, kind)]
    return sum(
        deleting.delete_many(tenant, gone[at : at + AT_ONCE], untouched_since=began)
        for at in range(0, len(gone), AT_ONCE)
    )


def _is_pulled(name: str, kind: str) -> bool:
    """Whether a document bears the name that a sync gives; others are the site's own affair."""
    return re.fullmatch(rf"{re.escape(kind)}-[0-9]+", name) is not None


def _note(tenant: Tenant, began: datetime, *, is_full: bool) -> None:
    """From ``began`` on: what changed meanwhile is for the next time."""
    index = locked_index(tenant)
    index.synced_at, index.sync_error = began, ""
    if is_full:
        index.fully_synced_at = began
    index.save(update_fields=["synced_at", "fully_synced_at", "sync_error"])
