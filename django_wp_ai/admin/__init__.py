"""Django's admin for operators; each module registers what it shows."""

from django_wp_ai.admin import (
    budget_alert,
    callback,
    callback_endpoint,
    conversation,
    credential,
    document,
    inbound,
    job,
    prompt,
    records,
    site_index,
    tenant,
    usage,
)

__all__ = [
    "budget_alert",
    "callback",
    "callback_endpoint",
    "conversation",
    "credential",
    "document",
    "inbound",
    "job",
    "prompt",
    "records",
    "site_index",
    "tenant",
    "usage",
]
