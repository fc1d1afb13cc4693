"""Events that a provider sent: kept as they came, worked on later, never twice."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class InboundEvent(models.Model):
    """A verified event. ``payload_sealed`` is its encrypted JSON; an error leaves the row, to be looked at."""

    class State(models.TextChoices):
        RECEIVED = "received", _("received")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")

    source = models.CharField(_("source"), max_length=64, help_text=_("A provider's name, or a credential's key id."))
    event_id = models.CharField(_("event id"), max_length=255)
    type = models.CharField(_("type"), max_length=100, blank=True)
    tenant = models.ForeignKey(
        Tenant, verbose_name=_("tenant"), null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    payload_sealed = models.BinaryField(_("payload"), default=b"")
    state = models.CharField(_("state"), max_length=8, choices=State, default=State.RECEIVED)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error_message = models.CharField(_("error"), max_length=500, blank=True)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    received_at = models.DateTimeField(_("received"), default=timezone.now)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    objects = TenantOwnedQuerySet["InboundEvent"].as_manager()

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")
        ordering: ClassVar = ["-received_at"]
        indexes: ClassVar = [
            models.Index(fields=["next_attempt_at"], condition=models.Q(state="received"), name="wpai_inbound_waiting")
        ]
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "event_id"], name="wpai_inbound_event")]

    def __str__(self) -> str:
        return f"{self.source} {self.type} {self.event_id}"
