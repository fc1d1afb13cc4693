"""What a tenant spent and has promised to spend in one day or month: the counters that budgets are held against."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from django.db import connections, models, router
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

USD_PLACES = 9


def _usd_field(label: StrOrPromise) -> models.DecimalField[Decimal, Decimal]:
    return models.DecimalField(label, max_digits=20, decimal_places=USD_PLACES, default=Decimal(0))


# Written out, because building such an update takes four times as long as running it, and a call needs four of them.
# Rounded to the billionth, so that they are exact also where the database (SQLite) keeps decimals as floats.
_HOLD = """
UPDATE django_wp_ai_budgetperiod
SET reserved_usd = ROUND(reserved_usd + CAST(%(amount)s AS numeric), 9)
WHERE id = %(id)s
  AND ROUND(spent_usd + reserved_usd + CAST(%(amount)s AS numeric), 9) <= CAST(%(budget)s AS numeric)
"""
_CHARGE = """
UPDATE django_wp_ai_budgetperiod
SET spent_usd = ROUND(spent_usd + CAST(%(spent)s AS numeric), 9),
    reserved_usd = CASE WHEN reserved_usd > CAST(%(released)s AS numeric)
                        THEN ROUND(reserved_usd - CAST(%(released)s AS numeric), 9) ELSE 0 END
WHERE id = %(id)s
"""


class BudgetPeriod(models.Model):
    """One counter; ``starts_at`` is the midnight in the tenant's time zone that begins the day or month.

    ``spent_usd`` counts every settled call of the tenant and of the tenants below it, whether there is a budget or
    not, so that a budget set later begins with what is spent already. Amounts change by conditional updates only.
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

    objects = TenantOwnedQuerySet["BudgetPeriod"].as_manager()

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

    @classmethod
    def hold(cls, pk: int, amount_usd: Decimal, *, within_usd: Decimal) -> bool:
        """Reserve ``amount_usd`` if what is spent and reserved stays ``within_usd``; whether it did."""
        return cls._change(_HOLD, {"id": pk, "amount": amount_usd, "budget": within_usd})

    @classmethod
    def charge(cls, pk: int, spent_usd: Decimal, *, released_usd: Decimal) -> None:
        """Count ``spent_usd`` and give back a reservation of ``released_usd``."""
        cls._change(_CHARGE, {"id": pk, "spent": spent_usd, "released": released_usd})

    @classmethod
    def _change(cls, statement: str, values: dict[str, int | Decimal]) -> bool:
        with connections[router.db_for_write(cls)].cursor() as cursor:
            cursor.execute(statement, values)
            return bool(cursor.rowcount)
