"""Small records of security: spent nonces (where no shared cache keeps them) and counts of failed authentication."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from django.db import models, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class SpentNonce(models.Model):
    """A value that was used once and must not be used again before ``expires_at``."""

    key = models.CharField(_("key"), max_length=64, primary_key=True, help_text=_("SHA-256 of scope and value."))
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        verbose_name = _("spent nonce")
        verbose_name_plural = _("spent nonces")

    def __str__(self) -> str:
        return self.key


class AuthFailureQuerySet(models.QuerySet["AuthFailureCount"]):
    """Sets of failure counts."""

    def add(self, *, method: str, reason: str, at: datetime | None = None) -> None:
        """Count one failure; concurrent callers are all counted."""
        hour = (at or timezone.now()).replace(minute=0, second=0, microsecond=0)
        row = {"hour": hour, "method": method[:32], "reason": reason[:32]}
        with transaction.atomic():
            self.bulk_create([self.model(**row)], ignore_conflicts=True)
            self.filter(**row).update(count=models.F("count") + 1)


class AuthFailureCount(models.Model):
    """How many calls of an hour were refused, by method and reason: a bounded number of rows, whatever is sent."""

    hour = models.DateTimeField(_("hour"))
    method = models.CharField(_("method"), max_length=32)
    reason = models.CharField(_("reason"), max_length=32)
    count = models.PositiveBigIntegerField(_("count"), default=0)

    objects = AuthFailureQuerySet.as_manager()

    class Meta:
        verbose_name = _("authentication failures")
        verbose_name_plural = _("authentication failures")
        ordering: ClassVar = ["-hour", "method", "reason"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["hour", "method", "reason"], name="wpai_auth_failure_hour"),
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H:00} {self.method} {self.reason}: {self.count}"
