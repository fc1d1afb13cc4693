"""Jobs that keep a whole index: a look through the site, a move to another model. One of each at a time. Blocking."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db.models import Q
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.datatypes import Principal
from django_wp_ai.exceptions import Invalid, ModelNotAllowed, WpAiError
from django_wp_ai.gateway.admission import require_scope
from django_wp_ai.jobs.create import NewJob, create
from django_wp_ai.jobs.held import one_transaction
from django_wp_ai.models import Chunk, Job, SiteIndex, Tenant
from django_wp_ai.rag.embedding import wanted_model
from django_wp_ai.rag.ingest.accepting import SCOPE
from django_wp_ai.rag.ingest.operator import operator_of
from django_wp_ai.rag.ingest.revision import locked_index

logger = logging.getLogger("django_wp_ai.rag")

SYNC, REEMBED = "sync", "reembed"
#: A move that failed, or a look through that did, is not tried again at once.
PATIENCE = timedelta(hours=1)


def start_sync(principal: Principal, *, full: bool, request_id: str = "") -> Job:
    """A job that pulls the site's content; the one that there is, if one has not ended yet."""
    require_scope(principal, SCOPE)
    if not principal.tenant.site_url:
        raise Invalid("The tenant has no site URL to pull content from.")
    return _start(principal, SYNC, {"full": full}, request_id)


def start_reembed(tenant: Tenant) -> Job | None:
    """A job that moves the site's vectors to the model that is wanted now; None where that one serves already."""
    index = SiteIndex.objects.for_tenant(tenant).first()
    wanted = wanted_model(tenant)
    if index is None or index.embedding_model in ("", wanted):
        return None
    return _start(operator_of(tenant), REEMBED, {"model": wanted}, "")


def start_due() -> int:
    """Begin what is due on any site: moves to another model, looks through sites. How many jobs were begun."""
    begun = 0
    for index in SiteIndex.objects.filter(tenant__is_active=True).select_related("tenant").iterator():
        try:
            begun += _start_due(index)
        except ModelNotAllowed as error:
            logger.warning("The index of tenant %s has no model to go on with: %s", index.tenant.slug, error.detail)
        except WpAiError as error:
            logger.warning("Nothing was begun for tenant %s: %s", index.tenant.slug, error)
    return begun


def _start_due(index: SiteIndex) -> int:
    now, begun = timezone.now(), 0
    lately = Q(created_at__gte=now - PATIENCE) | Q(status__in=Job.UNFINISHED)
    busy = set(
        Job.objects.for_tenant(index.tenant).filter(lately, kind__in=(SYNC, REEMBED)).values_list("kind", flat=True)
    )
    is_old = index.fully_synced_at is not None and index.fully_synced_at <= now - timedelta(hours=settings.sync_every_h)
    if settings.sync_every_h and is_old and SYNC not in busy and index.tenant.site_url:
        start_sync(operator_of(index.tenant), full=True)
        begun += 1
    has_chunks = Chunk.objects.for_tenant(index.tenant).live().exists()
    if has_chunks and REEMBED not in busy and start_reembed(index.tenant) is not None:
        begun += 1
    return begun


def _start(principal: Principal, kind: str, given: dict[str, Any], request_id: str) -> Job:
    with one_transaction():
        locked_index(principal.tenant)  # whoever else begins one waits here
        unfinished = Job.objects.for_tenant(principal.tenant).filter(kind=kind).unfinished()
        if (running := unfinished.select_related("tenant").first()) is not None:
            return running
        new = NewJob(kind=kind, input=given, request_id=request_id, is_internal=True)
        return create(principal, new, scope=SCOPE).job
