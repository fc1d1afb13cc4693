"""Events that providers sent: whether they were worked on, never what they say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.admin.display import badge
from django_wp_ai.admin.filters import RecentValuesFilter
from django_wp_ai.models import InboundEvent

RECENT = timedelta(days=30)
FIELDS = ("source", "type", "event_id", "status", "tenant", "attempts", "error_message")
TIMES = ("received_at", "next_attempt_at", "done_at")


class SourceFilter(RecentValuesFilter):
    """By sender."""

    title, parameter_name = _("source"), "source"

    def recent(self) -> QuerySet[Any]:
        """Events of the last month; older ones are deleted."""
        return InboundEvent.objects.filter(received_at__gte=timezone.now() - RECENT)


@admin.register(InboundEvent)
class InboundEventAdmin(ReadOnlyAdmin[InboundEvent]):
    """One verified event a row."""

    list_display = ("event_id", "status", "source", "type", "tenant", "attempts", "error_message", "received_at")
    list_filter = ("state", SourceFilter, "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "received_at"
    search_fields = ("=event_id", "=type")
    search_help_text = _("Event id or type, written in full")
    fields = readonly_fields = (*FIELDS, *TIMES)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundEvent]:
        """Without the payloads."""
        return super().get_queryset(request).defer("payload_sealed")

    @admin.display(description=_("state"), ordering="state")
    def status(self, event: InboundEvent) -> SafeString:
        """The state as a badge."""
        return badge(event.state, event.get_state_display())
