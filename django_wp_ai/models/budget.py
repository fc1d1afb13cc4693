"""What a tenant spent and has promised to spend in one day or month: the counters that budgets are held against."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

from django.core.validators import MinValueValidator
from django.db import connections, models, router
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

USD_PLACES = 9


def _usd_field(label: StrOrPromise) -> models.DecimalField[Decimal, Decimal]:
    return models.DecimalField(label, max_digits=20, decimal_places=USD_PLACES, default=Decimal(0))


# Written out, because building such an update takes four times as long as running it. (On PostgreSQL a call's own are
# part of one statement, see policy.budget_statements.)
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
    subject = models.CharField(
        _("subject"),
        max_length=160,
        blank=True,
        default="",
        help_text=_("Empty: all calls; else end_user:ID or model:NAME, as a budget names it."),
    )
    starts_at = models.DateTimeField(_("starts"))
    reserved_usd = _usd_field(_("reserved (USD)"))
    spent_usd = _usd_field(_("spent (USD)"))

    objects = TenantOwnedQuerySet["BudgetPeriod"].as_manager()

    class Meta:
        verbose_name = _("budget period")
        verbose_name_plural = _("budget periods")
        ordering: ClassVar = ["-starts_at", "tenant", "kind"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "subject", "kind", "starts_at"], name="wpai_budget_period"),
            models.CheckConstraint(
                condition=models.Q(reserved_usd__gte=0, spent_usd__gte=0), name="wpai_budget_not_negative"
            ),
        ]

    def __str__(self) -> str:
        of = f"{self.subject} " if self.subject else ""
        return f"{self.tenant_id} {of}{self.kind} {self.starts_at:%Y-%m-%d}"

    @classmethod
    def hold(cls, pk: int, amount_usd: Decimal, *, within_usd: Decimal) -> bool:
        """Reserve ``amount_usd`` if what is spent and reserved stays ``within_usd``; whether it did."""
        return cls._change(_HOLD, {"id": pk, "amount": amount_usd, "budget": within_usd})

    @classmethod
    def charge(cls, pk: int, spent_usd: Decimal, *, released_usd: Decimal) -> bool:
        """Count ``spent_usd`` and give back a reservation of ``released_usd``; False where the row is gone."""
        return cls._change(_CHARGE, {"id": pk, "spent": spent_usd, "released": released_usd})

    @classmethod
    def _change(cls, statement: str, values: dict[str, int | Decimal]) -> bool:
        with connections[router.db_for_write(cls)].cursor() as cursor:
            cursor.execute(statement, values)
            return bool(cursor.rowcount)


class Budget(models.Model):
    """A budget for a part of a tenant's calls: of end users, or of models. Those of all calls stand on the tenant.

    ``name`` is an end user's id or a model (``provider:model`` or a glob of it); empty gives every end user or model
    a budget of its own.
    """

    class AppliesTo(models.TextChoices):
        END_USER = "end_user", _("end user")
        MODEL = "model", _("model")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="budgets")
    applies_to = models.CharField(_("applies to"), max_length=8, choices=AppliesTo)
    name = models.CharField(_("name"), max_length=128, blank=True, help_text=_("Empty: each one for itself."))
    period = models.CharField(_("period"), max_length=5, choices=BudgetPeriod.Kind)
    amount_usd = models.DecimalField(
        _("amount (USD)"), max_digits=12, decimal_places=4, validators=[MinValueValidator(0)]
    )
    is_hard = models.BooleanField(_("hard"), default=True, help_text=_("A hard budget refuses, a soft one only tells."))

    objects = TenantOwnedQuerySet["Budget"].as_manager()

    class Meta:
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        ordering: ClassVar = ["tenant", "applies_to", "name", "period"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "applies_to", "name", "period", "is_hard"], name="wpai_budget_once"
            ),
            models.CheckConstraint(condition=models.Q(amount_usd__gte=0), name="wpai_budget_amount_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.applies_to} {self.name or '*'} {self.amount_usd} USD/{self.period}"


def attach_budgets(tenants: Iterable[Tenant]) -> None:
    """Load the tenants above these and the budgets of all of them, so that a call of theirs asks for none.

    One query for each level above, and one for the budgets.
    """
    every = level = list(tenants)
    seen = {tenant.pk for tenant in level}
    while wanted := {tenant.parent_id for tenant in level if tenant.parent_id is not None}:
        above = Tenant.objects.in_bulk(wanted)
        for tenant in level:
            if tenant.parent_id is not None:
                tenant.parent = above[tenant.parent_id]
        level = [tenant for tenant in above.values() if tenant.pk not in seen]  # a chain may return
        seen.update(above)
        every = [*every, *above.values()]
    models.prefetch_related_objects(every, "budgets")


class BudgetAlert(models.Model):
    """That a soft budget, or 80 % of a hard one, was used in a period: said once, however many calls find it so.

    ``notified_at`` is when all who are to be told were; until ``next_attempt_at`` a worker has it in hand, or it waits.
    """

    class Level(models.TextChoices):
        SOFT = "soft", _("soft budget used")
        NEAR = "near", _("80 % of the hard budget used")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    subject = models.CharField(_("subject"), max_length=160, blank=True, default="")
    kind = models.CharField(_("kind"), max_length=5, choices=BudgetPeriod.Kind)
    starts_at = models.DateTimeField(_("period starts"))
    level = models.CharField(_("level"), max_length=4, choices=Level)
    budget_usd = models.DecimalField(_("budget (USD)"), max_digits=12, decimal_places=4)
    spent_usd = _usd_field(_("spent (USD)"))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    mailed_at = models.DateTimeField(_("mailed"), null=True, blank=True)
    posted_at = models.DateTimeField(_("posted to the alert URL"), null=True, blank=True)
    notified_at = models.DateTimeField(_("told"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)

    objects = TenantOwnedQuerySet["BudgetAlert"].as_manager()

    class Meta:
        verbose_name = _("budget alert")
        verbose_name_plural = _("budget alerts")
        ordering: ClassVar = ["-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "subject", "kind", "starts_at", "level"], name="wpai_budget_alert_once"
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(notified_at=None), name="wpai_alert_pending"),
        ]

    def __str__(self) -> str:
        of = f"{self.subject} " if self.subject else ""
        return f"{self.tenant_id} {of}{self.kind} {self.level}"
