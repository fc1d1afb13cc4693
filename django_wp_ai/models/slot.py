"""Places among a tenant's streams, where no shared cache keeps them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class StreamSlot(models.Model):
    """A place that is held until it is given back, or until its lease is out because the holder died."""

    id = models.UUIDField(primary_key=True)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    lease_until = models.DateTimeField(_("lease until"), db_index=True)

    objects = TenantOwnedQuerySet["StreamSlot"].as_manager()

    class Meta:
        verbose_name = _("stream slot")
        verbose_name_plural = _("stream slots")

    def __str__(self) -> str:
        return str(self.id)
