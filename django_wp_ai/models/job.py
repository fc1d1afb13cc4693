"""Long work handed over by a site. The row is the queue's truth; the task queue only wakes workers."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.credential import Credential
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class JobQuerySet(TenantOwnedQuerySet["Job"]):
    """Sets of jobs."""

    def held(self, job_id: uuid.UUID, fence: int) -> Self:
        """The one row, if whoever claimed it with this fencing token still holds it."""
        return self.filter(pk=job_id, fence=fence, status=Job.Status.RUNNING, waiting_for=None)

    def due(self) -> Self:
        """Queued, and its time has come by the database's clock."""
        return self.filter(status=Job.Status.QUEUED, run_after__lte=Now())

    def lost(self) -> Self:
        """Running for a worker that let its lease run out, by the database's clock."""
        return self.filter(status=Job.Status.RUNNING, lease_until__lt=Now())

    def unfinished(self) -> Self:
        """Queued or running."""
        return self.filter(status__in=Job.UNFINISHED)


class Job(models.Model):
    """One piece of work with its input, state and result; leases are by database time, ``fence`` grows per claim.

    ``input_sealed`` and ``result_sealed`` are encrypted JSON, which only ``jobs.payload`` reads and writes. A batch
    that waits for its children is running, has no lease, and ``waiting_for`` counts those that have not ended.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("queued")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("cancelled")

    UNFINISHED: ClassVar = (Status.QUEUED, Status.RUNNING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="jobs")
    credential = models.ForeignKey(
        Credential, verbose_name=_("credential"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    parent = models.ForeignKey(
        "self", verbose_name=_("batch"), null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    ordinal = models.PositiveIntegerField(_("place in the batch"), null=True, blank=True)
    waiting_for = models.PositiveIntegerField(_("waits for so many jobs"), null=True, blank=True)
    kind = models.CharField(_("kind"), max_length=64)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.QUEUED)
    input_sealed = models.BinaryField(_("input"), default=b"")
    input_hash = models.CharField(_("input hash"), max_length=64, blank=True)
    result_sealed = models.BinaryField(_("result"), null=True, blank=True)
    error_code = models.CharField(_("error"), max_length=32, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    progress = models.PositiveSmallIntegerField(_("progress (%)"), default=0)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    caller = models.JSONField(
        _("caller"), default=dict, blank=True, help_text=_("What the proof allowed: scopes, models, roles, plugin.")
    )
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    request_id = models.CharField(_("request id"), max_length=128, blank=True)
    idempotency_key = models.CharField(_("idempotency key"), max_length=255, null=True, blank=True)
    callback_url = models.CharField(_("callback URL"), max_length=2000, blank=True)
    callback_profile = models.CharField(_("callback profile"), max_length=32, blank=True)
    callback_context = models.JSONField(
        _("callback context"), default=dict, blank=True, help_text=_("What an older contract wants back as it sent it.")
    )
    priority = models.SmallIntegerField(_("priority"), default=0, help_text=_("The higher, the sooner."))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    max_attempts = models.PositiveSmallIntegerField(_("attempts at most"), default=4)
    deadline_s = models.PositiveIntegerField(_("deadline of an attempt (s)"), default=600)
    timeline = models.JSONField(_("timeline"), default=list, blank=True, help_text=_("One entry an attempt."))
    run_after = models.DateTimeField(_("run after"), default=timezone.now)
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    fence = models.PositiveBigIntegerField(_("fencing token"), default=0)
    worker = models.CharField(_("worker"), max_length=128, blank=True)
    cancel_requested_at = models.DateTimeField(_("cancel requested"), null=True, blank=True)
    input_tokens = models.PositiveBigIntegerField(_("input tokens"), default=0)
    output_tokens = models.PositiveBigIntegerField(_("output tokens"), default=0)
    cost_usd = models.DecimalField(
        _("cost (USD)"), max_digits=16, decimal_places=9, null=True, blank=True, help_text=_("Empty: not known.")
    )
    is_estimated = models.BooleanField(_("estimated"), default=False)
    provider_ms = models.PositiveBigIntegerField(_("provider (ms)"), default=0)
    repeated_calls = models.PositiveSmallIntegerField(
        _("calls that may have been paid twice"),
        default=0,
        help_text=_("A worker died while a provider was being asked, so the step was asked again."),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    started_at = models.DateTimeField(_("started"), null=True, blank=True)
    claimed_at = models.DateTimeField(_("attempt started"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    anonymised_at = models.DateTimeField(_("anonymised"), null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        ordering: ClassVar = ["-created_at"]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "-created_at", "-id"], name="wpai_job_tenant_time"),
            models.Index(
                fields=["tenant", "-priority", "run_after", "id"],
                condition=models.Q(status="queued"),
                name="wpai_job_queued_tenant",
            ),
            models.Index(fields=["run_after"], condition=models.Q(status="queued"), name="wpai_job_queued"),
            models.Index(fields=["lease_until"], condition=models.Q(status="running"), name="wpai_job_running"),
            models.Index(fields=["tenant"], condition=models.Q(status="running"), name="wpai_job_running_tenant"),
            models.Index(fields=["tenant", "input_hash", "created_at"], name="wpai_job_input"),
            models.Index(fields=["tenant", "end_user", "created_at"], name="wpai_job_end_user"),
            models.Index(
                fields=["finished_at"],
                condition=models.Q(finished_at__isnull=False, anonymised_at=None),
                name="wpai_job_finished",
            ),
        ]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "idempotency_key"], name="wpai_job_idempotency_key"),
            models.UniqueConstraint(fields=["parent", "ordinal"], name="wpai_job_place_in_batch"),
            models.CheckConstraint(condition=models.Q(progress__lte=100), name="wpai_job_progress_is_percent"),
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running"], finished_at=None)
                | models.Q(status__in=["succeeded", "failed", "cancelled"], finished_at__isnull=False),
                name="wpai_job_ended_has_time",
            ),
            models.CheckConstraint(
                condition=models.Q(waiting_for=None) | models.Q(status="running", lease_until=None),
                name="wpai_job_waiting_has_no_lease",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def is_finished(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.status not in self.UNFINISHED


class JobStep(models.Model):
    """A part of a job that is paid for: marked *sent* before the call, *done* with its result after it.

    ``sends`` counts how often it was sent; more than once means that a worker died while the call was under way.
    """

    class State(models.TextChoices):
        SENT = "sent", _("sent")
        DONE = "done", _("done")

    job = models.ForeignKey(Job, verbose_name=_("job"), on_delete=models.CASCADE, related_name="steps")
    name = models.CharField(_("name"), max_length=100)
    state = models.CharField(_("state"), max_length=4, choices=State, default=State.SENT)
    sends = models.PositiveSmallIntegerField(_("sent so often"), default=1)
    fence = models.PositiveBigIntegerField(_("fencing token"))
    result_sealed = models.BinaryField(_("result"), null=True, blank=True)
    sent_at = models.DateTimeField(_("sent"))
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    class Meta:
        verbose_name = _("job step")
        verbose_name_plural = _("job steps")
        ordering: ClassVar = ["sent_at", "id"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["job", "name"], name="wpai_job_step_name")]

    def __str__(self) -> str:
        return f"{self.name} {self.state}"
