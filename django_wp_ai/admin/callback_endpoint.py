"""Where callbacks go: which URLs of sites take them, and which were switched off."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.acting import OperatedAdmin
from django_wp_ai.admin.display import address, badge, count, duration
from django_wp_ai.callbacks import endpoints
from django_wp_ai.exceptions import Conflict
from django_wp_ai.models import Callback, CallbackEndpoint

FIELDS = (
    ("to", "tenant"),
    ("status", "disabled_reason"),
    ("failing_since", "disabled_at"),
    ("last_success_at", "pending"),
    "created_at",
)


class HealthFilter(admin.SimpleListFilter):
    """Works, fails, or is switched off."""

    title, parameter_name = _("state"), "health"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """The three."""
        return [("working", _("working")), ("failing", _("failing")), ("disabled", _("switched off"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Endpoints in the chosen state."""
        live = queryset.filter(disabled_at=None)
        found = {
            "working": live.filter(failing_since=None),
            "failing": live.filter(failing_since__isnull=False),
            "disabled": queryset.filter(disabled_at__isnull=False),
        }
        return found.get(self.value() or "", queryset)


@admin.register(CallbackEndpoint)
class CallbackEndpointAdmin(OperatedAdmin[CallbackEndpoint]):
    """One URL of a site a row: whether it takes callbacks, and since when it does not."""

    list_display = ("receiver", "health", "since", "pending", "last_success")
    list_filter = (HealthFilter, "disabled_reason", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    search_fields = ("tenant__slug", "tenant__name", "tenant__site_url")
    search_help_text = _("Tenant")
    actions = ("enable_selected", "disable_selected")
    change_form_template = "admin/django_wp_ai/callbackendpoint/change_form.html"
    fields = FIELDS
    readonly_fields = flatten(FIELDS)

    def get_queryset(self, request: HttpRequest) -> QuerySet[CallbackEndpoint]:
        """Endpoints with the number of callbacks that wait for them."""
        waiting = Callback.objects.filter(endpoint=OuterRef("pk"), state=Callback.State.PENDING).order_by()
        number = Subquery(waiting.values("endpoint").annotate(total=Count("pk")).values("total"))
        return super().get_queryset(request).annotate(pending_count=Coalesce(number, 0))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add what this person may do, and the way to its callbacks."""
        endpoint = kwargs.get("obj")
        if endpoint is not None:
            base = self.admin_site.name
            off = endpoint.disabled_at is not None
            name, label = ("enable_selected", _("Switch on")) if off else ("disable_selected", _("Switch off"))
            context["tools"] = self.tools(request, endpoint, {name: label})
            context["list_url"] = reverse(f"{base}:django_wp_ai_callbackendpoint_changelist")
            if request.user.has_perm("django_wp_ai.view_callback"):
                listed = reverse(f"{base}:django_wp_ai_callback_changelist")
                context["callbacks_url"] = f"{listed}?{urlencode({'endpoint': endpoint.pk})}"
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Switch selected endpoints on"), permissions=["operate"])
    def enable_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> HttpResponse | None:
        """Callbacks go there again."""
        return self.act_on(request, queryset, _enable)

    @admin.action(description=_("Switch selected endpoints off"), permissions=["operate"])
    def disable_selected(self, request: HttpRequest, queryset: QuerySet[CallbackEndpoint]) -> HttpResponse | None:
        """Nothing is sent there until it is switched on."""
        return self.act_on(request, queryset, _disable)

    @admin.display(description=_("endpoint"), ordering="tenant")
    def receiver(self, endpoint: CallbackEndpoint) -> SafeString:
        """Where, and whose it is."""
        return format_html('{}<div class="wpai-below">{}</div>', self.to(endpoint), endpoint.tenant)

    @admin.display(description=_("state"), ordering="disabled_at")
    def health(self, endpoint: CallbackEndpoint) -> SafeString:
        """The state, and why it is off."""
        reason = endpoint.get_disabled_reason_display() if endpoint.disabled_at else ""
        return format_html('{}<div class="wpai-below">{}</div>', self.status(endpoint), reason)

    @admin.display(description=_("address"))
    def to(self, endpoint: CallbackEndpoint) -> str:
        """Without what may be a token."""
        return address(endpoint.url)

    @admin.display(description=_("state"), ordering="disabled_at")
    def status(self, endpoint: CallbackEndpoint) -> SafeString:
        """Whether it takes callbacks."""
        if endpoint.disabled_at is not None:
            return badge("dead", _("switched off"))
        return badge("waiting", _("failing")) if endpoint.failing_since else badge("live", _("working"))

    @admin.display(description=_("since"))
    def since(self, endpoint: CallbackEndpoint) -> str:
        """How long it has been so."""
        begun = endpoint.disabled_at or endpoint.failing_since
        return duration(timezone.now() - begun) if begun else "-"

    @admin.display(description=_("last success"), ordering="last_success_at")
    def last_success(self, endpoint: CallbackEndpoint) -> str:
        """How long ago."""
        at = endpoint.last_success_at
        return gettext("%(time)s ago") % {"time": duration(timezone.now() - at)} if at else "-"

    @admin.display(description=_("waiting"), ordering="pending_count")
    def pending(self, endpoint: Any) -> str:
        """How many have not been delivered nor given up."""
        return count(endpoint.pending_count)


def _enable(endpoint: CallbackEndpoint) -> str:
    if not endpoints.enable(endpoint):
        raise Conflict(gettext("It is on already."))
    return gettext("switched on. What became a dead letter meanwhile is replayed by hand.")


def _disable(endpoint: CallbackEndpoint) -> str:
    if not endpoints.disable(endpoint, reason=CallbackEndpoint.Reason.OPERATOR):
        raise Conflict(gettext("It is off already."))
    return gettext("switched off; what waited to be sent there is a dead letter.")
