"""Documents as a site sees them. Blocking, and changes nothing."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from django_wp_ai.exceptions import NotFound
from django_wp_ai.jobs import inputs
from django_wp_ai.models import Document, Tenant

MAX_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, the newest first; an empty ``next_cursor`` ends the list."""

    documents: list[Document]
    next_cursor: str


def find(tenant: Tenant, source_id: str) -> Document:
    """One document; raises NotFound, also for a deleted one and for another site's."""
    mine = Document.objects.for_tenant(tenant).living()
    found = mine.filter(source_id=source_id).first() if inputs.is_storable(source_id) else None
    if found is None:
        raise NotFound("There is no document of this source id.")
    return found


def page(tenant: Tenant, *, status: str = "", post_type: str = "", cursor: str = "", limit: int = 50) -> Page:
    """Documents of a site, without the deleted ones unless they are asked for."""
    if status and status not in Document.Status.values:
        raise inputs.invalid("status", f"One of {', '.join(Document.Status.values)}.")
    if not 1 <= limit <= MAX_PAGE:
        raise inputs.invalid("limit", f"From 1 to {MAX_PAGE}.")
    rows = Document.objects.for_tenant(tenant)
    rows = rows.filter(status=status) if status else rows.living()
    if post_type:
        rows = rows.filter(post_type=post_type)
    if cursor:
        rows = rows.filter(pk__lt=_position(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    return Page(found[:limit], _cursor(found[limit - 1].pk) if len(found) > limit else "")


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(f"document {pk}".encode()).decode().rstrip("=")


def _position(cursor: str) -> int:
    try:
        name, _, pk = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
        if name != "document" or not (pk.isascii() and pk.isdigit()) or len(pk) > 18:
            raise ValueError
        return int(pk)
    except ValueError:
        raise inputs.invalid("cursor", "Give the next_cursor of the page before.") from None
