"""One-time codes with which a WordPress site fetches its first keys."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class PairingCode(models.Model):
    """A code, of which only the SHA-256 is kept; it works once, before ``expires_at``."""

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    code_hash = models.CharField(_("code hash"), max_length=64, unique=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires"))
    used_at = models.DateTimeField(_("used"), null=True, blank=True)
    site_url = models.URLField(_("site URL"), max_length=500, blank=True)
    plugin_version = models.CharField(_("plugin version"), max_length=32, blank=True)

    objects = TenantOwnedQuerySet["PairingCode"].as_manager()

    class Meta:
        verbose_name = _("pairing code")
        verbose_name_plural = _("pairing codes")

    def __str__(self) -> str:
        return f"{self.tenant_id} {self.created_at:%Y-%m-%d %H:%M}"
