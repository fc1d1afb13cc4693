"""What was used and what it cost: one row for every call that reached a provider or was answered from the cache."""

from __future__ import annotations

import uuid
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.credential import Credential
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise


def _unit_price(label: StrOrPromise) -> models.DecimalField[Decimal | None, Decimal | None]:
    return models.DecimalField(label, max_digits=14, decimal_places=6, null=True, blank=True)


class UsageQuerySet(TenantOwnedQuerySet["UsageEvent"]):
    """Sets of usage rows."""

    def since(self, start: datetime) -> Self:
        """Rows opened at ``start`` or later."""
        return self.filter(created_at__gte=start)

    def spend(self) -> Decimal:
        """What these rows cost in US dollars, as far as it is known."""
        total: Decimal | None = self.aggregate(total=models.Sum("cost_usd"))["total"]
        return total or Decimal(0)


class UsageEvent(models.Model):
    """Opened (``pending``) before the provider is called, settled once after it; no prompt and no answer in here.

    ``cost_usd`` is NULL where the price is not known. Unit prices are US dollars per million tokens, as they were used.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        SETTLED = "settled", _("settled")

    call_id = models.UUIDField(_("call id"), default=uuid.uuid4, unique=True, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.PROTECT, related_name="usage_events")
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.PENDING)
    route = models.CharField(_("route"), max_length=32)
    provider = models.CharField(_("provider"), max_length=64)
    model = models.CharField(_("model"), max_length=128)
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    plugin = models.CharField(_("plugin"), max_length=128, blank=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    trace_id = models.UUIDField(
        _("trace"), null=True, blank=True, help_text=_("Shared by the calls of one request: attempts, steps of tools.")
    )
    step = models.PositiveSmallIntegerField(_("step"), default=0)
    prompt_template = models.CharField(_("prompt template"), max_length=80, blank=True)
    input_tokens = models.PositiveIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveIntegerField(_("output tokens"), default=0)
    cached_input_tokens = models.PositiveIntegerField(_("cached input tokens"), default=0)
    cache_write_tokens = models.PositiveIntegerField(_("cache write tokens"), default=0)
    reasoning_tokens = models.PositiveIntegerField(_("reasoning tokens"), default=0)
    input_price = _unit_price(_("input price"))
    output_price = _unit_price(_("output price"))
    cached_input_price = _unit_price(_("cached input price"))
    cache_write_price = _unit_price(_("cache write price"))
    cost_usd = models.DecimalField(_("cost (USD)"), max_digits=16, decimal_places=9, null=True, blank=True)
    reserved_usd = models.DecimalField(
        _("reserved (USD)"), max_digits=20, decimal_places=9, null=True, blank=True, editable=False
    )
    held_periods = models.JSONField(
        _("held budget periods"),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Ids of the counters that keep the reservation until the call is settled."),
    )
    cached = models.BooleanField(_("from cache"), default=False)
    estimated = models.BooleanField(_("estimated"), default=False)
    streamed = models.BooleanField(_("streamed"), default=False)
    finish_reason = models.CharField(_("finish reason"), max_length=16, blank=True)
    error_code = models.CharField(_("error"), max_length=32, blank=True)
    provider_status = models.PositiveSmallIntegerField(_("provider status"), null=True, blank=True)
    latency_ms = models.PositiveIntegerField(_("latency (ms)"), null=True, blank=True)
    first_token_ms = models.PositiveIntegerField(_("first token (ms)"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), db_index=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    objects = UsageQuerySet.as_manager()

    class Meta:
        verbose_name = _("usage event")
        verbose_name_plural = _("usage")
        ordering: ClassVar = ["-created_at", "-id"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "created_at"], name="wpai_usage_tenant_time"),
            models.Index(fields=["tenant", "end_user", "created_at"], name="wpai_usage_end_user_time"),
            models.Index(fields=["request_id"], name="wpai_usage_request_id"),
            models.Index(fields=["trace_id"], condition=models.Q(trace_id__isnull=False), name="wpai_usage_trace"),
            models.Index(fields=["created_at"], condition=models.Q(state="pending"), name="wpai_usage_pending"),
        ]
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(cost_usd=None) | models.Q(cost_usd__gte=0), name="wpai_usage_cost_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(reserved_usd=None) | models.Q(reserved_usd__gte=0),
                name="wpai_usage_reserved_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(state="pending", settled_at=None)
                | models.Q(state="settled", settled_at__isnull=False),
                name="wpai_usage_settled_has_time",
            ),
            models.CheckConstraint(
                condition=models.Q(cached_input_tokens__lte=models.F("input_tokens")),
                name="wpai_usage_cached_within_input",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.route} {self.provider}:{self.model} {self.call_id}"
