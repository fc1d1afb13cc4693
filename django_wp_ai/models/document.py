"""A tenant's posts and files: what was handed in, what was read from it, and the passages that are searched."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from pgvector.django import HalfVectorField

from django_wp_ai.models.job import Job
from django_wp_ai.models.lexemes import LexemesField
from django_wp_ai.models.tenant import Tenant, TenantOwnedQuerySet


class DocumentQuerySet(TenantOwnedQuerySet["Document"]):
    """Sets of documents."""

    def living(self) -> Self:
        """Those that were not deleted."""
        return self.filter(deleted_at=None)


class Document(models.Model):
    """One source: a post, a page, a file. ``source_id`` is the site's own name for it.

    A deleted one stays as a tombstone without text and chunks, so that a late event about an older state of the
    source can't bring it back. ``version`` counts the sets of chunks that served.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("pending")
        INDEXED = "indexed", _("indexed")
        FAILED = "failed", _("failed")
        DELETED = "deleted", _("deleted")

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="documents")
    source_id = models.CharField(_("source id"), max_length=255)
    title = models.CharField(_("title"), max_length=500, blank=True)
    url = models.URLField(_("URL"), max_length=2000, blank=True)
    mime = models.CharField(_("media type"), max_length=127, blank=True)
    post_type = models.CharField(_("post type"), max_length=64, blank=True)
    language = models.CharField(_("language"), max_length=16, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    metadata = models.JSONField(_("metadata"), default=dict, blank=True)
    content_hash = models.CharField(_("content hash"), max_length=64, blank=True)
    wanted_hash = models.CharField(
        _("hash of what was handed in last"),
        max_length=64,
        blank=True,
        help_text=_("Empty: it is still to be fetched."),
    )
    status = models.CharField(_("status"), max_length=8, choices=Status, default=Status.PENDING)
    error_code = models.CharField(_("error"), max_length=32, blank=True)
    error_message = models.CharField(_("error message"), max_length=500, blank=True)
    version = models.PositiveIntegerField(_("version"), default=0)
    size_bytes = models.PositiveBigIntegerField(_("size (bytes)"), default=0)
    chunk_count = models.PositiveIntegerField(_("chunks"), default=0)
    token_count = models.PositiveBigIntegerField(_("tokens"), default=0)
    cost_usd = models.DecimalField(
        _("cost (USD)"),
        max_digits=16,
        decimal_places=9,
        null=True,
        blank=True,
        help_text=_("Of all its embeddings so far. Empty: not known."),
    )
    job = models.ForeignKey(
        Job, verbose_name=_("job"), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    modified_at = models.DateTimeField(
        _("modified"), null=True, blank=True, help_text=_("When the site changed it last, as the site says.")
    )
    indexed_at = models.DateTimeField(_("indexed"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = DocumentQuerySet.as_manager()

    class Meta:
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        ordering: ClassVar = ["-updated_at"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "source_id"], name="wpai_document_source"),
            models.CheckConstraint(condition=~models.Q(source_id=""), name="wpai_document_source_not_empty"),
            models.CheckConstraint(
                condition=models.Q(status="deleted", deleted_at__isnull=False)
                | (~models.Q(status="deleted") & models.Q(deleted_at=None)),
                name="wpai_document_deleted_has_time",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "status", "-updated_at"], name="wpai_document_status"),
            models.Index(fields=["tenant", "post_type"], name="wpai_document_post_type"),
        ]

    def __str__(self) -> str:
        return self.title or self.source_id

    def is_older_than_known(self, modified_at: datetime | None) -> bool:
        """Whether news of this time tell of a state that was overtaken; news without a time never are."""
        return modified_at is not None and self.modified_at is not None and modified_at < self.modified_at


class DocumentText(models.Model):
    """What was read from a document, as Markdown: chunks are cut from it, so a new index needs no second download."""

    document = models.OneToOneField(
        Document, verbose_name=_("document"), primary_key=True, on_delete=models.CASCADE, related_name="read"
    )
    text = models.TextField(_("text"))
    extracted_at = models.DateTimeField(_("extracted"), default=timezone.now)

    class Meta:
        verbose_name = _("text of a document")
        verbose_name_plural = _("texts of documents")

    def __str__(self) -> str:
        return f"text of {self.document_id}"


class DocumentUpload(models.Model):
    """What a site handed in, as it came, until its job has read it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    document = models.ForeignKey(Document, verbose_name=_("document"), on_delete=models.CASCADE, related_name="uploads")
    body = models.BinaryField(_("body"))
    mime = models.CharField(_("media type"), max_length=127, blank=True)
    filename = models.CharField(_("file name"), max_length=255, blank=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = TenantOwnedQuerySet["DocumentUpload"].as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        ordering: ClassVar = ["created_at"]
        indexes: ClassVar = [models.Index(fields=["created_at"], name="wpai_upload_time")]

    def __str__(self) -> str:
        return self.filename or str(self.id)


class Extraction(models.Model):
    """The text of a file that was read before, by the file's SHA-256; ``extractor`` names the code that read it."""

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    sha256 = models.CharField(_("SHA-256"), max_length=64)
    extractor = models.CharField(_("extractor"), max_length=64)
    result = models.JSONField(_("result"), default=dict)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    used_at = models.DateTimeField(_("used"), default=timezone.now)

    objects = TenantOwnedQuerySet["Extraction"].as_manager()

    class Meta:
        verbose_name = _("extraction")
        verbose_name_plural = _("extractions")
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["tenant", "sha256", "extractor"], name="wpai_extraction_file")
        ]
        indexes: ClassVar = [models.Index(fields=["used_at"], name="wpai_extraction_used")]

    def __str__(self) -> str:
        return f"{self.sha256[:12]} {self.extractor}"


class ChunkQuerySet(TenantOwnedQuerySet["Chunk"]):
    """Sets of chunks."""

    def live(self) -> Self:
        """Those that searches see: not of a version that is being made."""
        return self.filter(is_live=True)


class Chunk(models.Model):
    """A passage with its embedding (half precision, any dimension; which model made it is on the row).

    The chunks of a document's next ``version`` are written and embedded while the live ones serve, and take their
    place in one transaction. ``next_embedding`` is filled while a site moves to another model. ``start`` and ``end``
    are offsets in characters into the document's text; ``heading_path`` are the headings above it, outermost first.
    What filters ask for stands on each row, so that they need no join. ``lexemes`` and ``term_count`` are what the
    words of a question are compared with; ``rag.index`` fills them.
    """

    tenant = models.ForeignKey(Tenant, verbose_name=_("tenant"), on_delete=models.CASCADE, related_name="+")
    document = models.ForeignKey(Document, verbose_name=_("document"), on_delete=models.CASCADE, related_name="chunks")
    version = models.PositiveIntegerField(_("version"), default=1)
    is_live = models.BooleanField(_("live"), default=True)
    ordinal = models.PositiveIntegerField(_("ordinal"))
    content = models.TextField(_("content"))
    content_hash = models.CharField(_("content hash"), max_length=64)
    heading_path = models.JSONField(_("headings"), default=list, blank=True)
    start = models.PositiveIntegerField(_("start"), default=0)
    end = models.PositiveIntegerField(_("end"), default=0)
    token_count = models.PositiveIntegerField(_("tokens"), default=0)
    language = models.CharField(_("language"), max_length=16, blank=True)
    post_type = models.CharField(_("post type"), max_length=64, blank=True)
    tags = models.JSONField(_("tags"), default=list, blank=True)
    embedding_model = models.CharField(_("embedding model"), max_length=128, blank=True)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"), null=True, blank=True)
    embedding = HalfVectorField(verbose_name=_("embedding"), null=True, blank=True)
    next_embedding_model = models.CharField(_("next embedding model"), max_length=128, blank=True)
    next_dimensions = models.PositiveSmallIntegerField(_("next dimensions"), null=True, blank=True)
    next_embedding = HalfVectorField(verbose_name=_("next embedding"), null=True, blank=True)
    lexemes = LexemesField(_("lexemes"), null=True, blank=True, editable=False)
    term_count = models.PositiveIntegerField(_("words"), default=0, editable=False)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    objects = ChunkQuerySet.as_manager()

    class Meta:
        verbose_name = _("chunk")
        verbose_name_plural = _("chunks")
        ordering: ClassVar = ["document", "version", "ordinal"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["document", "version", "ordinal"], name="wpai_chunk_place"),
            models.CheckConstraint(
                condition=models.Q(embedding=None, dimensions=None)
                | models.Q(embedding__isnull=False, dimensions__isnull=False) & ~models.Q(embedding_model=""),
                name="wpai_chunk_embedding_is_named",
            ),
            models.CheckConstraint(
                condition=models.Q(next_embedding=None, next_dimensions=None)
                | models.Q(next_embedding__isnull=False, next_dimensions__isnull=False)
                & ~models.Q(next_embedding_model=""),
                name="wpai_chunk_next_embedding_named",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["tenant", "embedding_model", "dimensions"], name="wpai_chunk_tenant_model"),
            models.Index(fields=["tenant", "content_hash"], name="wpai_chunk_content_hash"),
            models.Index(
                fields=["tenant", "language", "term_count"],
                condition=models.Q(is_live=True),
                name="wpai_chunk_live_language",
            ),
            models.Index(
                fields=["tenant", "embedding_model", "dimensions"],
                condition=models.Q(is_live=True),
                name="wpai_chunk_live_model",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.document_id}#{self.ordinal}"


class SiteIndex(models.Model):
    """The state of a tenant's index: which model serves, which one it moves to, when the site was last looked through.

    ``revision`` grows with every change of what a search could find, so it tells whether a kept answer still holds.
    """

    tenant = models.OneToOneField(
        Tenant, verbose_name=_("tenant"), primary_key=True, on_delete=models.CASCADE, related_name="index"
    )
    embedding_model = models.CharField(_("embedding model"), max_length=128, blank=True)
    dimensions = models.PositiveSmallIntegerField(_("dimensions"), null=True, blank=True)
    next_embedding_model = models.CharField(_("next embedding model"), max_length=128, blank=True)
    revision = models.PositiveBigIntegerField(_("revision"), default=0)
    synced_at = models.DateTimeField(_("synced"), null=True, blank=True)
    fully_synced_at = models.DateTimeField(_("fully synced"), null=True, blank=True)
    sync_error = models.CharField(_("error of the last sync"), max_length=500, blank=True)

    objects = TenantOwnedQuerySet["SiteIndex"].as_manager()

    class Meta:
        verbose_name = _("index of a site")
        verbose_name_plural = _("indexes of sites")

    def __str__(self) -> str:
        return f"index of {self.tenant_id}"
