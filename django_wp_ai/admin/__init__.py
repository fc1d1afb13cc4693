"""Django's admin for operators; each module registers what it shows."""

from django_wp_ai.admin import credential, records, tenant, usage

__all__ = ["credential", "records", "tenant", "usage"]
