"""Callbacks to sites: what was told, what became of each attempt, and sending it again."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import flatten
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.acting import OperatedAdmin
from django_wp_ai.admin.display import address, badge, count, duration, titled
from django_wp_ai.admin.filters import EndedFilter, LinkedFilter
from django_wp_ai.admin.job_page import attempt_rows
from django_wp_ai.callbacks.replay import replay
from django_wp_ai.models import Callback

PREFIX = "msg_"
MESSAGE = (("type", "status"), "webhook_id", ("tenant", "to"), ("profile", "end_user"), "job")
DELIVERY = (("tries", "last"), ("next", "ended_at"), "created_at")


class EndpointFilter(LinkedFilter):
    """The callbacks to one endpoint."""

    title, parameter_name, column, parse = _("endpoint"), "endpoint", "endpoint_id", int


class CallbackEndedFilter(EndedFilter):
    """By the time it was delivered or given up."""

    column = "ended_at"


@admin.register(Callback)
class CallbackAdmin(OperatedAdmin[Callback]):
    """One message a row. The body stays out: it holds results."""

    list_display = ("message", "outcome", "receiver", "delivery")
    list_filter = ("state", "tenant", CallbackEndedFilter, EndpointFilter)
    list_select_related = ("tenant", "endpoint")
    list_per_page = 50
    date_hierarchy = "created_at"
    id_fields = ("id", "job_id")
    search_fields = ("=end_user",)
    search_help_text = _("webhook-id, job id or end user, written in full")
    actions = ("replay_selected",)
    change_form_template = "admin/django_wp_ai/callback/change_form.html"
    fieldsets = ((None, {"fields": MESSAGE}), (_("Delivery"), {"fields": DELIVERY}))
    readonly_fields = flatten([*MESSAGE, *DELIVERY])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Callback]:
        """Without the bodies."""
        return super().get_queryset(request).defer("body_sealed")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """A ``webhook-id`` as the receiver logged it is an id with a prefix."""
        return super().get_search_results(request, queryset, search_term.strip().removeprefix(PREFIX))

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add the log of attempts and what this person may do."""
        callback = kwargs.get("obj")
        if callback is not None:
            base = self.admin_site.name
            ended = callback.state != Callback.State.PENDING
            context["attempts"] = attempt_rows(list(callback.attempt_log.all()))
            context["list_url"] = reverse(f"{base}:django_wp_ai_callback_changelist")
            context["tools"] = self.tools(request, callback, {"replay_selected": _("Send again")} if ended else {})
            if callback.job_id and request.user.has_perm("django_wp_ai.view_job"):
                context["job_url"] = reverse(f"{base}:django_wp_ai_job_change", args=[callback.job_id])
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.action(description=_("Replay selected callbacks"), permissions=["operate"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Callback]) -> HttpResponse | None:
        """Send again, under the same id, what was delivered or given up."""
        return self.act_on(request, queryset, _replay)

    @admin.display(description=_("callback"), ordering="created_at")
    def message(self, callback: Callback) -> SafeString:
        """The type, the beginning of the id to tell it from others, and when it became true."""
        created = date_format(timezone.localtime(callback.created_at), "Y-m-d H:i")
        return titled(callback.type, callback.id.hex[:8], created)

    @admin.display(description="webhook-id")
    def webhook_id(self, callback: Callback) -> str:
        """As the receiver sees it, on every attempt."""
        return callback.message_id

    @admin.display(description=_("state"), ordering="state")
    def outcome(self, callback: Callback) -> SafeString:
        """The state, and the last answer where it was not accepted."""
        delivered = callback.state == Callback.State.DELIVERED
        below = "" if delivered or not callback.attempts else self.last(callback)
        return format_html('{}<div class="wpai-below">{}</div>', self.status(callback), below)

    @admin.display(description=_("to"), ordering="tenant")
    def receiver(self, callback: Callback) -> SafeString:
        """The tenant, and the host that takes callbacks."""
        return format_html('{}<div class="wpai-below">{}</div>', callback.tenant, callback.endpoint.host or "-")

    @admin.display(description=_("state"), ordering="state")
    def status(self, callback: Callback) -> SafeString:
        """The state as a badge."""
        return badge(callback.state, callback.get_state_display())

    @admin.display(description=_("to"))
    def to(self, callback: Callback) -> str:
        """Where it goes, without what may be a token."""
        return address(callback.endpoint.url)

    @admin.display(description=_("attempts"), ordering="attempts")
    def delivery(self, callback: Callback) -> SafeString:
        """How many, and when the next one is."""
        when = self.next(callback)
        below = _("next: %(when)s") % {"when": when} if when != "-" else ""
        return format_html('{}<div class="wpai-below">{}</div>', self.tries(callback), below)

    @admin.display(description=_("attempts"))
    def tries(self, callback: Callback) -> str:
        """Since the last replay."""
        if not callback.replays:
            return count(callback.attempts)
        replays = gettext("replayed %(number)s times") % {"number": callback.replays}
        return f"{callback.attempts}, {replays if callback.replays > 1 else gettext('replayed once')}"

    @admin.display(description=_("last answer"), ordering="last_status")
    def last(self, callback: Callback) -> str:
        """The HTTP status, or why there was none."""
        return " ".join(str(part) for part in (callback.last_status, callback.last_error) if part) or "-"

    @admin.display(description=_("next attempt"))
    def next(self, callback: Callback) -> str:
        """In how long."""
        if callback.state != Callback.State.PENDING or callback.next_attempt_at is None:
            return "-"
        wait = callback.next_attempt_at - timezone.now()
        return gettext("in %(time)s") % {"time": duration(wait)} if wait.total_seconds() >= 1 else gettext("now")


def _replay(callback: Callback) -> str:
    replay(callback.tenant, callback_id=callback.pk)
    return gettext("queued to be sent again.")
