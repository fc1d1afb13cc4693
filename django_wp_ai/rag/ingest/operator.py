"""Work that the operator of this installation begins, by a command, in the admin or by a schedule."""

from __future__ import annotations

from django_wp_ai.datatypes import Principal
from django_wp_ai.models import Tenant

METHOD = "operator"


def operator_of(tenant: Tenant) -> Principal:
    """Who begins it: no credential of the site, with the rights that documents need."""
    return Principal(tenant=tenant, credential=None, scopes=frozenset({"rag.read", "rag.write"}), method=METHOD)
