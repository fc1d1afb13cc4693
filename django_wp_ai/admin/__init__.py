"""Django's admin for operators; each module registers what it shows."""

from django_wp_ai.admin import (
    budget_alert,
    callback,
    callback_endpoint,
    conversation,
    credential,
    inbound,
    job,
    prompt,
    records,
    tenant,
    usage,
)

__all__ = [
    "budget_alert",
    "callback",
    "callback_endpoint",
    "conversation",
    "credential",
    "inbound",
    "job",
    "prompt",
    "records",
    "tenant",
    "usage",
]
