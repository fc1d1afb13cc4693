"""Conversations of a site's end users, kept as long as the tenant says."""

from __future__ import annotations

import uuid
from typing import ClassVar, Self

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class ConversationQuerySet(TenantOwnedQuerySet["Conversation"]):
    """Sets of conversations."""

    def of_end_user(self, end_user: str) -> Self:
        """Those of one end user; ``""`` stands for callers without one."""
        return self.filter(end_user=end_user)


class Conversation(models.Model):
    """A thread of turns; it belongs to one end user, and nobody else continues it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    end_user = models.CharField(_("end user"), max_length=128, blank=True)
    name = models.CharField(
        _("name"), max_length=64, blank=True, help_text=_("The site's own, where it gave one instead of an id.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("last turn"), db_index=True)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = _("conversation")
        verbose_name_plural = _("conversations")
        ordering: ClassVar = ["-updated_at"]
        indexes: ClassVar = [models.Index(fields=["tenant", "end_user"], name="wpai_conversation_end_user")]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["tenant", "end_user", "name"], condition=~models.Q(name=""), name="wpai_conversation_name"
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Turn(models.Model):
    """One message. ``content`` is encrypted; only ``gateway.conversations`` reads and writes it."""

    conversation = models.ForeignKey(
        Conversation, verbose_name=_("conversation"), on_delete=models.CASCADE, related_name="turns"
    )
    ordinal = models.PositiveIntegerField(_("ordinal"), help_text=_("From 1, without gaps."))
    role = models.CharField(_("role"), max_length=9)
    content = models.TextField(_("encrypted content"), editable=False)
    tokens = models.PositiveIntegerField(_("tokens"), help_text=_("Estimated."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("turn")
        verbose_name_plural = _("turns")
        ordering: ClassVar = ["ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["conversation", "ordinal"], name="wpai_turn_ordinal"),
        ]

    def __str__(self) -> str:
        return f"{self.ordinal} {self.role}"
