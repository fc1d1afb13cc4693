"""The usage ledger: read-only, filtered, with totals of what is shown."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.admin.display import badge, count, milliseconds, usd, usd_sum
from django_wp_ai.admin.filters import RecentErrorFilter, RecentValuesFilter
from django_wp_ai.admin.spend import UNKNOWN_PRICE
from django_wp_ai.models import UsageEvent

RECENT = timedelta(days=90)


class RecentUsageFilter(RecentValuesFilter):
    """Values of the ledger's last months."""

    def recent(self) -> QuerySet[Any]:
        """Calls of that time."""
        return UsageEvent.objects.since(timezone.now() - RECENT)


class RouteFilter(RecentUsageFilter):
    """By route."""

    title, parameter_name = _("route"), "route"


class ProviderFilter(RecentUsageFilter):
    """By provider."""

    title, parameter_name = _("provider"), "provider"


class ModelFilter(RecentUsageFilter):
    """By model."""

    title, parameter_name = _("model"), "model"


class ErrorFilter(RecentErrorFilter, RecentUsageFilter):
    """By error code, or any, or none."""

    parameter_name = "error_code"


class PriceFilter(admin.SimpleListFilter):
    """Whether the price is known."""

    title, parameter_name = _("price"), "price"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Known or unknown."""
        return [("known", _("known")), ("unknown", _("unknown"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Rows with or without a cost."""
        if self.value() == "unknown":
            return queryset.filter(UNKNOWN_PRICE)
        return queryset.exclude(cost_usd=None) if self.value() == "known" else queryset


def totals(rows: QuerySet[UsageEvent]) -> dict[str, Any]:
    """Sums of ``rows`` in one query; the cost is that of the calls whose price is known."""
    sums: dict[str, Any] = rows.order_by().aggregate(
        calls=Count("pk"),
        tokens_in=Sum("input_tokens", default=0),
        tokens_out=Sum("output_tokens", default=0),
        cost=Sum("cost_usd", default=Decimal(0)),
        unknown_price=Count("pk", filter=UNKNOWN_PRICE),
        cache_hits=Count("pk", filter=Q(cached=True)),
        errors=Count("pk", filter=~Q(error_code="")),
    )
    return sums


@admin.register(UsageEvent)
class UsageEventAdmin(ReadOnlyAdmin[UsageEvent]):
    """One call a row. No prompt and no answer is stored, so none can be shown."""

    list_display = ("when", "cost", "tenant", "tokens", "model_name", "latency", "outcome", "route", "end_user")
    list_filter = (
        "tenant",
        RouteFilter,
        ProviderFilter,
        ModelFilter,
        "state",
        "cached",
        "estimated",
        ErrorFilter,
        PriceFilter,
    )
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "created_at"
    id_fields = ("call_id", "trace_id")
    search_fields = ("=request_id", "=end_user")
    search_help_text = _("Request id, end user, call id or trace (a job's id), written in full")
    change_list_template = "admin/django_wp_ai/usageevent/change_list.html"
    exclude: ClassVar = ("cost_usd",)
    fields: ClassVar = None

    def get_fields(self, request: HttpRequest, obj: UsageEvent | None = None) -> Any:
        """All columns, the cost in words."""
        left_out = ("id", "cost_usd", "held_periods")
        return ["cost", *(field.name for field in self.opts.concrete_fields if field.name not in left_out)]

    def get_readonly_fields(self, request: HttpRequest, obj: UsageEvent | None = None) -> Any:
        """All of them."""
        return self.get_fields(request, obj)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Add the totals of the filtered rows, not only of the page."""
        response = super().changelist_view(request, extra_context)
        # A redirect (after a filter that can't be) has no list.
        if isinstance(response, TemplateResponse) and response.context_data and "cl" in response.context_data:
            sums = totals(response.context_data["cl"].queryset)
            response.context_data["totals"] = [
                (_("Calls"), count(sums["calls"])),
                (_("Cost (known prices)"), usd_sum(sums["cost"])),
                (_("Unknown price"), count(sums["unknown_price"])),
                (_("Input tokens"), count(sums["tokens_in"])),
                (_("Output tokens"), count(sums["tokens_out"])),
                (_("Cache hits"), count(sums["cache_hits"])),
                (_("Errors"), count(sums["errors"])),
            ]
        return response

    @admin.display(description=_("time"), ordering="created_at")
    def when(self, event: UsageEvent) -> str:
        """When the call began, short, so that the cost is seen beside it on a phone."""
        return date_format(timezone.localtime(event.created_at), "Y-m-d H:i")

    @admin.display(description=_("cost"), ordering="cost_usd")
    def cost(self, event: UsageEvent) -> SafeString | str:
        """Dollars, or why there is no sum yet."""
        if event.cost_usd is None and event.state == UsageEvent.State.PENDING:
            return badge("pending", _("pending"))
        if event.cost_usd is None:
            return badge("failed", usd(None))
        return f"~{usd(event.cost_usd)}" if event.estimated else usd(event.cost_usd)

    @admin.display(description=_("tokens in / out"), ordering="input_tokens")
    def tokens(self, event: UsageEvent) -> str:
        """Both directions."""
        return f"{count(event.input_tokens)} / {count(event.output_tokens)}"

    @admin.display(description=_("model"), ordering="model")
    def model_name(self, event: UsageEvent) -> str:
        """Provider and model."""
        return f"{event.provider}:{event.model}"

    @admin.display(description=_("latency"), ordering="latency_ms")
    def latency(self, event: UsageEvent) -> str:
        """How long the call took."""
        return milliseconds(event.latency_ms)

    @admin.display(description=_("outcome"), ordering="error_code")
    def outcome(self, event: UsageEvent) -> SafeString | str:
        """The error, or how the answer ended and whether the cache gave it."""
        if event.error_code:
            return badge("failed", event.error_code)
        if event.state == UsageEvent.State.PENDING:
            return badge("pending", event.get_state_display())
        return badge("settled", _("from cache")) if event.cached else event.finish_reason or "-"
