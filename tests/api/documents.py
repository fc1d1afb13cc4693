"""Documents that a site has, for the tests of the API."""

from __future__ import annotations

from typing import Any

from django_wp_ai.models import Document
from tests.api.conftest import Site


def indexed(site: Site, source_id: str = "post-1", **fields: Any) -> Document:
    """A row of one that a worker has read."""
    return Document.objects.create(tenant=site.tenant, source_id=source_id, **{"status": "indexed", **fields})
