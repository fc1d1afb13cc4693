"""One post as the site has it now, by its source id."""

from __future__ import annotations

from django_wp_ai.jobs.context import JobFailed
from django_wp_ai.models import Tenant
from django_wp_ai.rag.ingest.entries import SourceUnreachable
from django_wp_ai.rag.sources import wordpress
from django_wp_ai.rag.sources.base import SourceDocument, SourceFailed


class NotPublic(Exception):
    """The site doesn't show the post to everybody: it is gone, a draft, private or behind a password."""


async def pull(tenant: Tenant, source_id: str) -> SourceDocument:
    """Raises NotPublic, SourceUnreachable for what may pass, and JobFailed."""
    try:
        found = await wordpress.one(tenant, source_id)
    except SourceFailed as error:
        raise passing(error) from None
    if found is None:
        raise NotPublic
    return found


def passing(error: SourceFailed) -> SourceUnreachable | JobFailed:
    """What is asked again later, or what has failed for good."""
    detail = error.detail or error.title
    if error.retry_after_s is not None:
        return SourceUnreachable(detail, retry_after_s=error.retry_after_s)
    return JobFailed(detail, code=error.code)
