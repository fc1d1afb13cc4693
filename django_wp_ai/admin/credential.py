"""Credentials of all tenants: looked at, limited, rotated and revoked; never typed in, never deleted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import GuardedAdmin
from django_wp_ai.admin.display import credential_badge
from django_wp_ai.admin.lifecycle import MAX_AT_ONCE, can_rotate, revoke_view, rotate_view
from django_wp_ai.models import Credential

LIMITS = ("label", "scopes", "allowed_models", "cidrs", "audience", "max_lifetime_s", "not_before", "expires_at")
RECORD = ("tenant", "key_id", "kind", "profile", "algorithm", "status", "last_used_at", "created_at", "revoked_at")
OF_KIND = ("username", "public_key")


class StatusFilter(admin.SimpleListFilter):
    """Live, not yet, expired or revoked."""

    title = _("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """All states."""
        return list(Credential.Status.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows in the chosen state."""
        chosen = self.value()
        if chosen not in Credential.Status.values:
            return queryset
        ids = Credential.objects.with_status(chosen).values("pk")
        return queryset.filter(pk__in=ids)


@admin.register(Credential)
class CredentialAdmin(GuardedAdmin[Credential]):
    """The list of all credentials. The secret columns are no field, no column, no filter and no search here."""

    list_display = ("key_id", "tenant", "kind", "profile", "status", "label", "expires_at", "last_used_at")
    list_filter = (StatusFilter, "kind", "profile", "tenant")
    list_select_related = ("tenant",)
    search_fields = ("key_id", "label", "tenant__slug", "tenant__name", "tenant__site_url")
    actions = ("rotate_selected", "revoke_selected")
    change_form_template = "admin/django_wp_ai/credential/change_form.html"

    def get_fieldsets(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        """What it is, then what limits it."""
        of_kind = [name for name in OF_KIND if obj and getattr(obj, name)]
        record = (*RECORD, *of_kind)
        return ((None, {"fields": record}), (_("Limits"), {"fields": LIMITS}))

    def get_readonly_fields(self, request: HttpRequest, obj: Credential | None = None) -> Any:
        """A revoked credential is a record."""
        ended = obj is not None and obj.revoked_at is not None
        return (*RECORD, *OF_KIND, *LIMITS) if ended else (*RECORD, *OF_KIND)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Made on the tenant's page, where the secret is shown once."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Credential | None = None) -> bool:
        """Revoked, not deleted: usage rows name it."""
        return False

    @admin.display(description=_("status"))
    def status(self, credential: Credential) -> SafeString:
        """Where in its life it is."""
        return credential_badge(credential)

    @admin.action(description=_("Rotate selected credentials (24 h overlap)"), permissions=["change"])
    def rotate_selected(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse:
        """Ask for confirmation."""
        return self._confirm("rotate", request, queryset)

    @admin.action(description=_("Revoke selected credentials"), permissions=["change"])
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse:
        """Ask for confirmation."""
        return self._confirm("revoke", request, queryset)

    def _confirm(self, verb: str, request: HttpRequest, queryset: QuerySet[Credential]) -> HttpResponse:
        ids = list(queryset.order_by("pk").values_list("pk", flat=True)[: MAX_AT_ONCE + 1])
        if len(ids) > MAX_AT_ONCE:
            text = _("Select %(number)s credentials at most.") % {"number": MAX_AT_ONCE}
            self.message_user(request, text, messages.ERROR)
            return redirect(request.get_full_path())
        return redirect(f"{self._url(verb)}?{urlencode({'id': ids}, doseq=True)}")

    def _url(self, verb: str) -> str:
        return reverse(f"{self.admin_site.name}:django_wp_ai_credential_{verb}")

    def get_urls(self) -> list[URLPattern]:
        """With the pages that rotate and revoke."""
        views: dict[str, Callable[..., Any]] = {"rotate": self.rotate_view, "revoke": self.revoke_view}
        own = [
            path(f"{verb}/", self.admin_site.admin_view(view), name=f"django_wp_ai_credential_{verb}")
            for verb, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def rotate_view(self, request: HttpRequest) -> HttpResponseBase:
        """Confirm, rotate, show the new secrets once."""
        return rotate_view(self, request)

    def revoke_view(self, request: HttpRequest) -> HttpResponseBase:
        """Confirm, revoke."""
        return revoke_view(self, request)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add what the object tools link to, as far as this person may and the credential allows."""
        credential = kwargs.get("obj")
        if credential is not None and self.has_change_permission(request, credential):
            query = f"?id={credential.pk}"
            if can_rotate(credential):
                context["rotate_url"] = self._url("rotate") + query
            if credential.revoked_at is None:
                context["revoke_url"] = self._url("revoke") + query
        return super().render_change_form(request, context, *args, **kwargs)
