"""The only way to fetch a URL that came from outside: callbacks, alerts, documents to download."""

from django_wp_ai.security.outbound.client import OutboundReply, download, send
from django_wp_ai.security.outbound.destination import check_url
from django_wp_ai.security.outbound.errors import OutboundError

__all__ = ["OutboundError", "OutboundReply", "check_url", "download", "send"]
