"""What is left of documents that were never indexed goes after some days. Blocking."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from django_wp_ai.conf import settings
from django_wp_ai.models import Chunk, Document, DocumentUpload, Job

AT_ONCE = 200
AT_MOST = 10_000  # in one run of the schedule


def forget_uploads(now: datetime) -> int:
    """Delete what was handed in ``UPLOAD_DAYS`` ago and could not be indexed; how many."""
    old = DocumentUpload.objects.filter(created_at__lt=now - timedelta(days=settings.upload_days))
    left = old.exclude(document__job__status__in=Job.UNFINISHED)
    deleted = 0
    while deleted < AT_MOST and (ids := list(left.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])):
        DocumentUpload.objects.filter(pk__in=ids).delete()
        deleted += len(ids)
    return deleted


def forget_unfinished(now: datetime) -> int:
    """Delete passages of versions that no job goes on with; how many. Until then a retry finds them paid for."""
    old = Chunk.objects.filter(is_live=False, created_at__lt=now - timedelta(days=settings.upload_days))
    working = Document.objects.filter(pk=OuterRef("document"), job__status__in=Job.UNFINISHED)
    left = old.exclude(Exists(working))
    deleted = 0
    while deleted < AT_MOST and (ids := list(left.order_by("pk").values_list("pk", flat=True)[:AT_ONCE])):
        Chunk.objects.filter(pk__in=ids, is_live=False).delete()
        deleted += len(ids)
    return deleted
