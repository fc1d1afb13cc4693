"""What an operator sets for the retrieval over a site's content. Mixed into ``Tenant``."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from django_wp_ai.models.site_policy import validate_names


class RetrievalPolicy(models.Model):
    """How a site's own content is found and answered from."""

    embedding_model = models.CharField(
        _("embedding model"),
        max_length=128,
        blank=True,
        help_text=_("provider:model; empty: the setting EMBEDDING_MODEL. A change embeds the site's content anew."),
    )
    content_types = models.JSONField(
        _("post types"),
        default=list,
        blank=True,
        validators=[validate_names],
        help_text=_("What a sync pulls, by the names of the REST API; empty: posts and pages."),
    )

    class Meta:
        abstract = True
