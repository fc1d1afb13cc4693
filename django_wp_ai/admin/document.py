"""Documents: what a site's answers are made from, how far each is, and what it has cost."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.acting import OperatedAdmin
from django_wp_ai.admin.display import badge, count, usd
from django_wp_ai.admin.filters import RecentErrorFilter, RecentValuesFilter
from django_wp_ai.admin.try_it import may_try
from django_wp_ai.exceptions import Conflict
from django_wp_ai.models import Document
from django_wp_ai.rag import ingest

RECENT = 5_000


class DocumentErrorFilter(RecentErrorFilter):
    """By why it could not be indexed."""

    parameter_name = "error_code"

    def recent(self) -> QuerySet[Any]:
        """Those that failed."""
        return Document.objects.filter(status=Document.Status.FAILED)


class PostTypeFilter(RecentValuesFilter):
    """By WordPress' name of its type."""

    title, parameter_name = _("post type"), "post_type"

    def recent(self) -> QuerySet[Any]:
        """The documents that were touched last."""
        last = Document.objects.order_by("-pk").values("pk")[:RECENT]
        return Document.objects.filter(pk__in=last)


class LanguageFilter(PostTypeFilter):
    """By language."""

    title, parameter_name = _("language"), "language"


@admin.register(Document)
class DocumentAdmin(OperatedAdmin[Document]):
    """A tenant's sources and whether they can be searched. Their text stays out: it may not be public yet."""

    list_display = ("source", "state", "tenant", "chunk_count", "size", "cost", "language", "updated_at")
    list_filter = ("status", "tenant", PostTypeFilter, LanguageFilter, DocumentErrorFilter)
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "updated_at"
    search_fields = ("title", "source_id", "url")
    actions = ("reindex_documents", "delete_documents")
    change_form_template = "admin/django_wp_ai/document/change_form.html"
    fieldsets = (
        (None, {"fields": (("source_id", "tenant"), "title", "page", ("state", "error_message"))}),
        (_("Index"), {"fields": (("chunk_count", "tokens", "version"), ("size", "cost"), ("indexed_at", "task"))}),
        (
            _("Source"),
            {"fields": (("post_type", "language", "mime"), "tags", ("modified_at", "created_at", "updated_at"))},
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Document | None = None) -> Any:
        """All of them."""
        return flatten_fieldsets(self.get_fieldsets(request, obj))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add the actions that this document's state and this person's rights allow."""
        document = kwargs.get("obj")
        if document is not None:
            names: dict[str, object] = {"reindex_documents": _("Index anew"), "delete_documents": _("Take out")}
            is_gone = document.status == Document.Status.DELETED
            context["tools"] = [] if is_gone else self.tools(request, document, names)
            if may_try(request) and request.user.has_perm("django_wp_ai.view_tenant"):
                page = reverse(f"{self.admin_site.name}:django_wp_ai_tenant_try_it", args=[document.tenant_id])
                context["try_it_url"] = f"{page}?{urlencode({'source_id': document.source_id})}"
            context["list_url"] = reverse(f"{self.admin_site.name}:django_wp_ai_document_changelist")
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Index selected documents anew"), permissions=["operate"])
    def reindex_documents(self, request: HttpRequest, queryset: QuerySet[Document]) -> HttpResponse | None:
        """From what is kept of them; passages that stay the same cost nothing."""
        return self.act_on(request, queryset.select_related("tenant"), _reindex)

    @admin.action(description=_("Take selected documents out of the index"), permissions=["operate"])
    def delete_documents(self, request: HttpRequest, queryset: QuerySet[Document]) -> HttpResponse | None:
        """Their text and passages go; a tombstone stays."""
        return self.act_on(request, queryset.select_related("tenant"), _delete)

    @admin.display(description=_("document"), ordering="title")
    def source(self, document: Document) -> SafeString:
        """The title and the site's own name for it."""
        return format_html('{}<div class="wpai-below">{}</div>', document.title or "-", document.source_id)

    @admin.display(description=_("status"), ordering="status")
    def state(self, document: Document) -> SafeString:
        """The status as a badge, with why it failed."""
        shown = badge(document.status, document.get_status_display())
        if not document.error_code:
            return shown
        return format_html('{}<div class="wpai-below">{}</div>', shown, document.error_code)

    @admin.display(description=_("size"), ordering="size_bytes")
    def size(self, document: Document) -> str:
        """Of what was handed in."""
        return str(filesizeformat(document.size_bytes))

    @admin.display(description=_("cost"), ordering="cost_usd")
    def cost(self, document: Document) -> str:
        """Of all its embeddings so far; unknown where a price was not known."""
        return usd(document.cost_usd)

    @admin.display(description=_("tokens"))
    def tokens(self, document: Document) -> str:
        """Of its passages together."""
        return count(document.token_count)

    @admin.display(description=_("URL"))
    def page(self, document: Document) -> SafeString | str:
        """A link to it."""
        if not document.url.lower().startswith(("http://", "https://")):
            return document.url or "-"
        return format_html('<a href="{0}" rel="noopener noreferrer">{0}</a>', document.url)

    @admin.display(description=_("job"))
    def task(self, document: Document) -> SafeString | str:
        """What indexed it last, or is about to."""
        if document.job_id is None:
            return "-"
        url = reverse(f"{self.admin_site.name}:django_wp_ai_job_change", args=[document.job_id])
        return format_html('<a href="{}">{}</a>', url, str(document.job_id)[:8])


def _reindex(document: Document) -> str:
    if ingest.reindex(ingest.operator_of(document.tenant), [document]) is None:
        raise Conflict(gettext("Nothing is kept of it; the site has to hand it in again."))
    return gettext("will be indexed anew.")


def _delete(document: Document) -> str:
    ingest.delete(ingest.operator_of(document.tenant), document.source_id)
    return gettext("taken out.")
