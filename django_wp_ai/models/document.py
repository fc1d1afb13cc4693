"""A tenant's posts and files, cut into chunks that can be searched."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class Document(models.Model):
    """One source: a post, a page, a file. ``source_id`` is the site's own name for it."""

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="documents")
    source_id = models.CharField(_("source id"), max_length=255)
    title = models.CharField(_("title"), max_length=500, blank=True)
    url = models.URLField(_("URL"), max_length=2000, blank=True)
    mime = models.CharField(_("media type"), max_length=127, blank=True)
    content_hash = models.CharField(_("content hash"), max_length=64, blank=True)
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = TenantOwnedQuerySet["Document"].as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering: ClassVar = ["-updated_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "source_id"], name="wpai_document_source"),
            models.CheckConstraint(condition=~models.Q(source_id=""), name="wpai_document_source_not_empty"),
        ]

    def __str__(self) -> str:
        return self.title or self.source_id


class Chunk(models.Model):
    """A passage with its embedding (half precision, any dimension; which model made it is on the row)."""

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    document = models.ForeignKey(Document, verbose_name=_("document"), on_delete=models.CASCADE, related_name="chunks")
    ordinal = models.PositiveIntegerField(_("ordinal"))
    content = models.TextField(_("content"))
    content_hash = models.CharField(_("content hash"), max_length=64)
    token_count = models.PositiveIntegerField(_("tokens"), default=0)
    embedding_model = models.CharField(_("embedding model"), max_length=128, blank=True)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"), null=True, blank=True)
    embedding = HalfVectorField(verbose_name=_("embedding"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = TenantOwnedQuerySet["Chunk"].as_manager()

    class Meta:
        verbose_name = _("chunk")
        verbose_name_plural = _("chunks")
        ordering: ClassVar = ["document", "ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "ordinal"], name="wpai_chunk_ordinal"),
            models.CheckConstraint(
                condition=models.Q(embedding=None, dimensions=None)
                | models.Q(embedding__isnull=False, dimensions__isnull=False) & ~models.Q(embedding_model=""),
                name="wpai_chunk_embedding_is_named",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "embedding_model", "dimensions"], name="wpai_chunk_tenant_model"),
            models.Index(fields=["tenant", "content_hash"], name="wpai_chunk_content_hash"),
        ]

    def __str__(self) -> str:
        return f"{self.document_id}#{self.ordinal}"
