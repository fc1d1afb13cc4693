"""Rate limits' counters, where no shared cache keeps them."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _


class RateWindow(models.Model):
    """One sliding window: ``buckets`` maps the number of a part of time to what was taken in it, and its last time."""

    key = models.CharField(_("key"), max_length=64, primary_key=True, help_text=_("SHA-256 of who and which limit."))
    buckets = models.JSONField(_("buckets"), default=dict)
    expires_at = models.DateTimeField(_("expires"), db_index=True)

    class Meta:
        verbose_name = _("rate window")
        verbose_name_plural = _("rate windows")
        ordering: ClassVar = ["key"]

    def __str__(self) -> str:
        return self.key
