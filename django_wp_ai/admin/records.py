"""Jobs, documents and authentication failures: lists to look at."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.admin.display import badge, milliseconds
from django_wp_ai.models import AuthFailureCount, Chunk, Document, Job


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin[Job]):
    """Jobs with their states. Input and result stay out: they are the words of a site's users."""

    list_display = ("id", "tenant", "kind", "state", "progress", "attempts", "error_code", "took", "created_at")
    list_filter = ("status", "kind", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "created_at"
    search_fields = ("id__exact", "=end_user", "=idempotency_key")
    search_help_text = _("Job id, end user or idempotency key, written in full")
    fields = readonly_fields = (
        "id",
        "tenant",
        "credential",
        "kind",
        "state",
        "progress",
        "attempts",
        "error_code",
        "error_message",
        "end_user",
        "idempotency_key",
        "callback_host",
        "callback_profile",
        "priority",
        "run_after",
        "lease_until",
        "created_at",
        "started_at",
        "finished_at",
    )

    @admin.display(description=_("status"), ordering="status")
    def state(self, job: Job) -> SafeString:
        """The status as a badge."""
        return badge(job.status, job.get_status_display())

    @admin.display(description=_("took"))
    def took(self, job: Job) -> str:
        """From the first start to the end."""
        if job.started_at is None or job.finished_at is None:
            return "-"
        return milliseconds(round((job.finished_at - job.started_at).total_seconds() * 1000))

    @admin.display(description=_("callback host"))
    def callback_host(self, job: Job) -> str:
        """The host only: the rest of the URL may carry a token."""
        try:
            return urlsplit(job.callback_url).hostname or "-"
        except ValueError:
            return "-"


@admin.register(Document)
class DocumentAdmin(ReadOnlyAdmin[Document]):
    """A tenant's sources and whether they can be searched."""

    list_display = ("source", "tenant", "state", "chunks", "mime", "source_id", "updated_at")
    list_filter = ("status", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    search_fields = ("title", "source_id", "url")
    fields = readonly_fields = (
        "tenant",
        "source_id",
        "title",
        "url",
        "mime",
        "state",
        "error_message",
        "chunks",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Document]:
        """Documents with the number of their chunks."""
        chunks = Chunk.objects.filter(document=OuterRef("pk")).order_by().values("document")
        number = Subquery(chunks.annotate(total=Count("pk")).values("total"))
        return super().get_queryset(request).annotate(chunk_count=Coalesce(number, 0))

    @admin.display(description=_("title"), ordering="title")
    def source(self, document: Document) -> str:
        """The title, else the site's own name for it."""
        return str(document)

    @admin.display(description=_("status"), ordering="status")
    def state(self, document: Document) -> SafeString:
        """The status as a badge."""
        return badge(document.status, document.get_status_display())

    @admin.display(description=_("chunks"), ordering="chunk_count")
    def chunks(self, document: Any) -> int:
        """How many passages it was cut into."""
        return int(document.chunk_count)


@admin.register(AuthFailureCount)
class AuthFailureCountAdmin(ReadOnlyAdmin[AuthFailureCount]):
    """Refused calls by hour, method and reason."""

    list_display = ("hour", "method", "reason", "count")
    list_filter = ("method", "reason")
    date_hierarchy = "hour"
    fields = readonly_fields = ("hour", "method", "reason", "count")
