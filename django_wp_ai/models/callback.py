"""Callbacks to sites: the outbox, where they go, and what became of each attempt."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self
from urllib.parse import urlsplit

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.job import Job
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class CallbackEndpoint(models.Model):
    """A URL of a site that takes callbacks. ``failing_since`` is when its failures began, without a success since.

    ``alert_due_at`` is when its operators are to be told that it is switched off; empty when nobody is to be told.
    """

    class Reason(models.TextChoices):
        GONE = "gone", _("it answered 410")
        FAILING = "failing", _("it failed for too long")
        OPERATOR = "operator", _("an operator switched it off")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="endpoints")
    url = models.CharField(_("URL"), max_length=2000)
    url_hash = models.CharField(_("URL hash"), max_length=64, editable=False, help_text=_("SHA-256 of the URL."))
    failing_since = models.DateTimeField(_("failing since"), null=True, blank=True)
    last_failure_at = models.DateTimeField(_("last failure"), null=True, blank=True)
    last_success_at = models.DateTimeField(_("last success"), null=True, blank=True)
    disabled_at = models.DateTimeField(_("disabled"), null=True, blank=True)
    disabled_reason = models.CharField(_("why"), max_length=8, choices=Reason, blank=True)
    alert_due_at = models.DateTimeField(_("alert due"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = TenantOwnedQuerySet["CallbackEndpoint"].as_manager()

    class Meta:
        verbose_name = _("callback endpoint")
        verbose_name_plural = _("callback endpoints")
        ordering: ClassVar = ["tenant", "-created_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "url_hash"], name="wpai_endpoint_url"),
            models.CheckConstraint(
                condition=models.Q(disabled_at=None, disabled_reason="")
                | models.Q(disabled_at__isnull=False) & ~models.Q(disabled_reason=""),
                name="wpai_endpoint_disabled_has_reason",
            ),
        ]

    @property
    def host(self) -> str:
        """All of the URL that may be shown anywhere: the rest may be a secret. Empty where there is none."""
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:
            return ""

    def __str__(self) -> str:
        return f"{self.host or '?'} {self.pk}"


class CallbackQuerySet(TenantOwnedQuerySet["Callback"]):
    """Sets of callbacks."""

    def due(self) -> Self:
        """Pending, its time has come by the database's clock, and nobody holds it."""
        return self.filter(
            models.Q(lease_until=None) | models.Q(lease_until__lt=Now()),
            state=Callback.State.PENDING,
            next_attempt_at__lte=Now(),
        )

    def held(self, callback_id: uuid.UUID, fence: int) -> Self:
        """The one row, if whoever claimed it with this fencing token still holds it."""
        return self.filter(pk=callback_id, fence=fence, state=Callback.State.PENDING)


class Callback(models.Model):
    """One message to a site, written in the transaction that made it true; its id is the same on every attempt.

    ``body_sealed`` is the encrypted body as it is sent. ``attempts`` counts since the last replay.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("pending")
        DELIVERED = "delivered", _("delivered")
        DEAD = "dead", _("dead letter")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="callbacks")
    endpoint = models.ForeignKey(
        CallbackEndpoint, verbose_name=_("endpoint"), on_delete=models.CASCADE, related_name="callbacks"
    )
    job = models.ForeignKey(
        Job, verbose_name=_("job"), null=True, blank=True, on_delete=models.SET_NULL, related_name="callbacks"
    )
    sequence = models.PositiveIntegerField(_("place among the job's"), default=0)
    type = models.CharField(_("type"), max_length=64)
    profile = models.CharField(_("profile"), max_length=32)
    body_sealed = models.BinaryField(_("body"), default=b"")
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    state = models.CharField(_("state"), max_length=9, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    replays = models.PositiveSmallIntegerField(_("replays"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    fence = models.PositiveBigIntegerField(_("fencing token"), default=0)
    last_status = models.PositiveSmallIntegerField(_("last status"), null=True, blank=True)
    last_error = models.CharField(_("last error"), max_length=32, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    objects = CallbackQuerySet.as_manager()

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(
                fields=["tenant", "next_attempt_at"], condition=models.Q(state="pending"), name="wpai_callback_due"
            ),
            models.Index(fields=["tenant", "-created_at", "-id"], name="wpai_callback_tenant_time"),
            models.Index(fields=["ended_at"], condition=models.Q(ended_at__isnull=False), name="wpai_callback_ended"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["job", "sequence"], name="wpai_callback_place"),
            models.CheckConstraint(
                condition=models.Q(state="pending", ended_at=None, next_attempt_at__isnull=False)
                | ~models.Q(state="pending") & models.Q(ended_at__isnull=False, lease_until=None),
                name="wpai_callback_pending_has_next",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def message_id(self) -> str:
        """The ``webhook-id``."""
        return f"msg_{self.id.hex}"


class CallbackAttempt(models.Model):
    """One try: what the receiver answered, how long it took, the beginning of its answer without secrets."""

    callback = models.ForeignKey(
        Callback, verbose_name=_("callback"), on_delete=models.CASCADE, related_name="attempt_log"
    )
    number = models.PositiveSmallIntegerField(_("number"))
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    error = models.CharField(_("error"), max_length=32, blank=True)
    latency_ms = models.PositiveIntegerField(_("latency (ms)"), null=True, blank=True)
    excerpt = models.CharField(_("beginning of the reply"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("at"), default=timezone.now)

    class Meta:
        verbose_name = _("callback attempt")
        verbose_name_plural = _("callback attempts")
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.number} {self.status or self.error}"
