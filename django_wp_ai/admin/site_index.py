"""The index of each site: which model serves, how far a move to another is, when the site was looked through."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.acting import OperatedAdmin
from django_wp_ai.admin.display import count
from django_wp_ai.models import Chunk, SiteIndex
from django_wp_ai.rag import ingest


@admin.register(SiteIndex)
class SiteIndexAdmin(OperatedAdmin[SiteIndex]):
    """One row a site."""

    list_display = ("tenant", "embedding_model", "next_embedding_model", "chunks", "synced_at", "sync_error")
    list_filter = ("embedding_model",)
    list_select_related = ("tenant",)
    list_per_page = 50
    search_fields = ("tenant__slug", "tenant__name")
    actions = ("sync_sites", "reembed_sites")
    fields = readonly_fields = (
        "tenant",
        "embedding_model",
        "dimensions",
        "next_embedding_model",
        "chunks",
        "revision",
        "synced_at",
        "fully_synced_at",
        "sync_error",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[SiteIndex]:
        """With the number of passages."""
        chunks = Chunk.objects.filter(tenant=OuterRef("pk"), is_live=True).order_by().values("tenant")
        number = Coalesce(Subquery(chunks.annotate(number=Count("pk")).values("number")), 0)
        return super().get_queryset(request).annotate(chunk_count=number)

    @admin.action(description=_("Look through selected sites"), permissions=["operate"])
    def sync_sites(self, request: HttpRequest, queryset: QuerySet[SiteIndex]) -> HttpResponse | None:
        """All of them, whatever the last time found."""
        return self.act_on(request, queryset, _sync)

    @admin.action(description=_("Move selected sites to their wanted model"), permissions=["operate"])
    def reembed_sites(self, request: HttpRequest, queryset: QuerySet[SiteIndex]) -> HttpResponse | None:
        """Now, and not when the schedule finds it."""
        return self.act_on(request, queryset, _reembed)

    @admin.display(description=_("chunks"), ordering="chunk_count")
    def chunks(self, index: Any) -> str:
        """Those that searches see."""
        return count(index.chunk_count)


def _sync(index: SiteIndex) -> str:
    ingest.start_sync(ingest.operator_of(index.tenant), full=True)
    return gettext("a job looks through the site.")


def _reembed(index: SiteIndex) -> str:
    job = ingest.start_reembed(index.tenant)
    return gettext("the wanted model serves already.") if job is None else gettext("a job embeds it anew.")
