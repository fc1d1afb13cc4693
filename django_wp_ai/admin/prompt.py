"""Prompt templates: versions to write, look at and switch off; a version that is saved never changes."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import GuardedAdmin
from django_wp_ai.admin.display import badge
from django_wp_ai.models import PromptTemplate

WORDS = ("tenant", "name", "language", "version", "model", "system", "prompt")
MAX_VERSIONS = 50


@admin.register(PromptTemplate)
class PromptTemplateAdmin(GuardedAdmin[PromptTemplate]):
    """One version a row. Another text is another version: ``New version`` opens the form with the old one's text."""

    list_display = ("template", "owner", "language", "state", "model", "variable_list", "created_at")
    list_filter = (("tenant", admin.RelatedOnlyFieldListFilter), "language", "is_active")
    list_select_related = ("tenant",)
    search_fields = ("name", "system", "prompt", "tenant__slug", "tenant__name")
    autocomplete_fields = ("tenant",)
    ordering = ("name", "-version", "language")
    actions = ("new_version",)
    change_form_template = "admin/django_wp_ai/prompttemplate/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: PromptTemplate | None = None) -> Any:
        """What is written, then what follows from it."""
        written = (None, {"fields": (*WORDS, "is_active")})
        if obj is None:
            return (written,)
        return (written, (_("Record"), {"fields": ("variable_list", "versions", "created_at")}))

    def get_readonly_fields(self, request: HttpRequest, obj: PromptTemplate | None = None) -> Any:
        """A saved version can only be switched on and off."""
        return (*WORDS, "variable_list", "versions", "created_at") if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: PromptTemplate | None = None) -> bool:
        """Switched off, not deleted: the ledger names it, and its number must not come back with another text."""
        return False

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """For ``?from=ID`` that version's text and the next number."""
        old = self.get_object(request, request.GET["from"]) if "from" in request.GET else None
        if old is None or not self.has_view_or_change_permission(request, old):
            return {}
        words = {name: getattr(old, name) for name in WORDS if name != "tenant"}
        return {**words, "tenant": old.tenant_id, "version": old.next_version()}

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add the link to a new version for who may add one."""
        template = kwargs.get("obj")
        if template is not None and self.has_add_permission(request):
            context["new_version_url"] = self._new_version_url(template)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("New version of the selected template"), permissions=["add"])
    def new_version(self, request: HttpRequest, queryset: QuerySet[PromptTemplate]) -> HttpResponse:
        """Open the form of a new version with the text of the chosen one."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one template."), messages.ERROR)
            return redirect(request.get_full_path())
        return redirect(self._new_version_url(chosen[0]))

    def _new_version_url(self, template: PromptTemplate) -> str:
        page = reverse(f"{self.admin_site.name}:django_wp_ai_prompttemplate_add")
        return f"{page}?{urlencode({'from': template.pk})}"

    @admin.display(description=_("template"), ordering="name")
    def template(self, template: PromptTemplate) -> str:
        """As calls name it."""
        return template.reference

    @admin.display(description=_("tenant"), ordering="tenant__slug")
    def owner(self, template: PromptTemplate) -> str:
        """Whose it is."""
        return str(template.tenant or _("all"))

    @admin.display(description=_("state"), ordering="is_active")
    def state(self, template: PromptTemplate) -> SafeString:
        """Whether calls get it."""
        return badge("live", _("active")) if template.is_active else badge("expired", _("off"))

    @admin.display(description=_("variables"))
    def variable_list(self, template: PromptTemplate) -> str:
        """The names that a call must give values for."""
        return ", ".join(template.variables) or "-"

    @admin.display(description=_("versions"))
    def versions(self, template: PromptTemplate) -> SafeString:
        """The newest versions of this text, each a link."""
        others = PromptTemplate.objects.same_text(template).order_by("-version")[:MAX_VERSIONS]
        page = f"{self.admin_site.name}:django_wp_ai_prompttemplate_change"
        rows = (
            (
                reverse(page, args=[other.pk]),
                other.reference,
                self.state(other),
                date_format(localtime(other.created_at), "Y-m-d H:i"),
            )
            for other in others
        )
        return format_html("<ul>{}</ul>", format_html_join("", '<li><a href="{}">{}</a> {} {}</li>', rows))
