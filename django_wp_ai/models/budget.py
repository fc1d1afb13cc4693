"""What a tenant spent and has promised to spend in one day or month: the counters that budgets are held against."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models.functions import Greatest
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

USD_PLACES = 9


def _usd_field(label: StrOrPromise) -> models.DecimalField[Decimal, Decimal]:
    return models.DecimalField(label, max_digits=20, decimal_places=USD_PLACES, default=Decimal(0))


class _Sum(models.Func):
    """The sum to the billionth: exact also where the database (SQLite) keeps decimals as floats."""

    template = f"ROUND(%(expressions)s, {USD_PLACES})"
    arg_joiner = " + "
    output_field = _usd_field("")

    def __init__(self, column: str, *terms: str | Decimal) -> None:
        values = [models.Value(term, _usd_field("")) if isinstance(term, Decimal) else term for term in terms]
        super().__init__(column, *values)


class BudgetPeriodQuerySet(TenantOwnedQuerySet["BudgetPeriod"]):
    """Sets of counters; amounts change by conditional updates only."""

    def hold(self, amount_usd: Decimal, *, within_usd: Decimal) -> bool:
        """Reserve ``amount_usd`` if what is spent and reserved stays ``within_usd``; whether it did."""
        fitting = self.annotate(total_usd=_Sum("spent_usd", "reserved_usd", amount_usd))
        return bool(fitting.filter(total_usd__lte=within_usd).update(reserved_usd=_Sum("reserved_usd", amount_usd)))

    def charge(self, spent_usd: Decimal, *, released_usd: Decimal) -> None:
        """Count ``spent_usd`` and give back a reservation of ``released_usd``."""
        changes: dict[str, models.Func] = {"spent_usd": _Sum("spent_usd", spent_usd)}
        if released_usd:
            changes["reserved_usd"] = Greatest(_Sum("reserved_usd", -released_usd), Decimal(0))
        self.update(**changes)


class BudgetPeriod(models.Model):
    """One counter; ``starts_at`` is the midnight in the tenant's time zone that begins the day or month.

    ``spent_usd`` counts every settled call of the tenant and of the tenants below it, whether there is a budget or
    not, so that a budget set later begins with what is spent already.
    """

    class Kind(models.TextChoices):
        DAY = "day", _("day")
        MONTH = "month", _("month")

    tenant = models.ForeignKey(
        Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="budget_periods"
    )
    kind = models.CharField(_("kind"), max_length=5, choices=Kind)
    starts_at = models.DateTimeField(_("starts"))
    reserved_usd = _usd_field(_("reserved (USD)"))
    spent_usd = _usd_field(_("spent (USD)"))

    objects = BudgetPeriodQuerySet.as_manager()

    class Meta:
        verbose_name = _("budget period")
        verbose_name_plural = _("budget periods")
        ordering: ClassVar = ["-starts_at", "tenant", "kind"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "kind", "starts_at"], name="wpai_budget_period"),
            models.CheckConstraint(
                condition=models.Q(reserved_usd__gte=0, spent_usd__gte=0), name="wpai_budget_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.kind} {self.starts_at:%Y-%m-%d}"
