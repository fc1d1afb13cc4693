"""What a host may listen to: ``from django_wp_ai.signals import provider_event_received``."""

from __future__ import annotations

from django_wp_ai.gateway.inbound import provider_event_received

__all__ = ["provider_event_received"]
