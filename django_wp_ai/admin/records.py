"""Documents and authentication failures: lists to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.admin.display import badge
from django_wp_ai.models import AuthFailureCount, Chunk, Document


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
