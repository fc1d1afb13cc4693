"""The first reply to a request that may be sent again."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class IdempotentReply(models.Model):
    """One key of a tenant on one route: running until ``lease_until``, or done with the reply that is given again.

    ``key_hash`` and ``body_hash`` are SHA-256 in hex; ``body`` is encrypted, because replies hold answers.
    """

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    key_hash = models.CharField(_("key hash"), max_length=64)
    body_hash = models.CharField(_("body hash"), max_length=64)
    owner = models.UUIDField(_("owner"), help_text=_("Who runs it; another may take over when the lease is out."))
    lease_until = models.DateTimeField(_("lease until"), null=True, blank=True)
    status = models.PositiveSmallIntegerField(_("status"), null=True, blank=True)
    headers = models.JSONField(_("headers"), default=dict, blank=True)
    body = models.BinaryField(_("body"), default=b"")
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    created_at = models.DateTimeField(_("created"))
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    objects = TenantOwnedQuerySet["IdempotentReply"].as_manager()

    class Meta:
        verbose_name = _("idempotent reply")
        verbose_name_plural = _("idempotent replies")
        constraints: ClassVar = [models.UniqueConstraint(fields=["tenant", "key_hash"], name="wpai_idempotency_key")]

    def __str__(self) -> str:
        return f"{self.key_hash[:12]} {self.status or 'running'}"
