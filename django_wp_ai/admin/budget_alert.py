"""Budget alerts: what was told, and whether it arrived."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.admin.display import badge, usd_sum
from django_wp_ai.models import BudgetAlert

RECORD = ("mailed_at", "posted_at", "notified_at", "attempts", "next_attempt_at")


@admin.register(BudgetAlert)
class BudgetAlertAdmin(ReadOnlyAdmin[BudgetAlert]):
    """One row for each budget, period and level."""

    list_display = ("created_at", "tenant", "level", "of", "kind", "spent", "budget", "delivered")
    list_filter = ("level", "kind", "tenant")
    list_select_related = ("tenant",)
    list_per_page = 50
    date_hierarchy = "created_at"
    search_fields = ("=subject", "tenant__slug", "tenant__name")
    fields = readonly_fields = ("tenant", "level", "of", "kind", "starts_at", "spent", "budget", "created_at", *RECORD)

    @admin.display(description=_("for"), ordering="subject")
    def of(self, alert: BudgetAlert) -> str:
        """Which part of the tenant's calls."""
        return alert.subject or str(_("all calls"))

    @admin.display(description=_("spent"), ordering="spent_usd")
    def spent(self, alert: BudgetAlert) -> str:
        """When the alert was raised."""
        return usd_sum(alert.spent_usd)

    @admin.display(description=_("budget"), ordering="budget_usd")
    def budget(self, alert: BudgetAlert) -> str:
        """As it was then."""
        return usd_sum(alert.budget_usd)

    @admin.display(description=_("told"), ordering="notified_at")
    def delivered(self, alert: BudgetAlert) -> SafeString:
        """Whether everybody who is to know was told."""
        return badge("succeeded", _("yes")) if alert.notified_at else badge("pending", _("not yet"))
