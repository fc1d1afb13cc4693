"""Long work handed over by a site. The row is the queue's truth; django-q2 only wakes workers."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.credential import Credential
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class Job(models.Model):
    """One piece of work with its input, state and result; leases are by database time, ``fence`` grows per claim."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="jobs")
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    kind = models.CharField(_("kind"), max_length=64)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    input = models.JSONField(_("input"), default=dict)
    result = models.JSONField(_("result"), null=True, blank=True)
    error_code = models.CharField(_("error"), max_length=32, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress (%)"), default=0)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255, null=True, blank=True)
    callback_url = models.URLField(_("callback URL"), max_length=2000, blank=True)
    callback_profile = models.CharField(_("callback profile"), max_length=32, blank=True)
    priority = models.SmallIntegerField(_("priority"), default=0)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    run_after = models.DateTimeField(_("run after"), default=timezone.now)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    fence = models.PositiveBigIntegerField(_("fencing token"), default=0)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = TenantOwnedQuerySet["Job"].as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-created_at"], name="wpai_job_tenant_time"),
            models.Index(fields=["run_after"], condition=models.Q(status="queued"), name="wpai_job_queued"),
            models.Index(fields=["lease_until"], condition=models.Q(status="running"), name="wpai_job_running"),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="wpai_job_idempotency_key"),
            models.CheckConstraint(condition=models.Q(progress__lte=100), name="wpai_job_progress_is_percent"),
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running"], finished_at=None)
                | models.Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="wpai_job_ended_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"
