"""The row of a site's index, and its revision: every change of what a search could find is a new one. Blocking."""

from __future__ import annotations

from django_wp_ai.models import SiteIndex, Tenant


def locked_index(tenant: Tenant) -> SiteIndex:
    """The row, made where it is missing, and nobody else's to change until the transaction ends."""
    SiteIndex.objects.get_or_create(tenant=tenant)
    return SiteIndex.objects.for_tenant(tenant).select_for_update(no_key=True).get()


def bump(tenant: Tenant) -> SiteIndex:
    """The locked row with its next revision, saved."""
    index = locked_index(tenant)
    index.revision += 1
    index.save(update_fields=["revision"])
    return index
