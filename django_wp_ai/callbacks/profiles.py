"""How a callback may be signed and what its body may look like, by name; checked when work is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Tenant
from django_wp_ai.security import legacy
from django_wp_ai.security.outbound import OutboundError
from django_wp_ai.security.outbound.destination import AllowList, read

STANDARD = "standard"
BASIC = "basic"
EVENT = "event"

#: Each profile with the shape its body has unless the job's ``callback_context`` names another one.
PROFILES: Mapping[str, str] = MappingProxyType(
    {STANDARD: EVENT, **dict.fromkeys(legacy.PROFILES, EVENT), "ai-signature-timestamp": "job_result"}
    | {BASIC: "post_summary"}
)
#: SYSTEMS' rows 2, 5, 6 and 12, and our own.
SHAPES = (EVENT, "chat_reply", "post_summary", "document_summary", "job_result")


def check_profile(profile: str, context: Mapping[str, Any] | None = None) -> str:
    """The profile's full name (empty means ``standard``); raises Invalid for one or a shape that there is not."""
    name = profile or STANDARD
    if name not in PROFILES:
        raise _invalid("callback_profile", f"There is no such profile; known: {', '.join(sorted(PROFILES))}.")
    shape = (context or {}).get("shape", EVENT)
    if shape not in SHAPES:
        raise _invalid("callback_context", f"There is no such shape; known: {', '.join(sorted(SHAPES))}.")
    return name


def shape_of(profile: str, context: Mapping[str, Any]) -> str:
    """The shape of a job's body."""
    return str(context.get("shape") or PROFILES[profile])


def check_password_target(tenant: Tenant, url: str) -> None:
    """Raise Invalid unless an Application Password may be sent to ``url``."""
    if not may_get_password(tenant, url):
        raise _invalid("callback_url", "The profile basic needs an https URL of the site itself.")


def may_get_password(tenant: Tenant, url: str) -> bool:
    """Whether the URL leads, by HTTPS, to the origin of the tenant's site or callback URL, or to a callback host.

    Who may create jobs could else have the site's password sent to a server of their own.
    """
    allow = AllowList.of(tenant.callback_hosts)
    try:
        target = read(url, allow)
        if target.host in allow.names:
            return True
        own = {read(own, allow).origin for own in (tenant.site_url, tenant.callback_url) if own}
    except OutboundError:
        return False
    return target.scheme == "https" and target.origin in own


def _invalid(field: str, message: str) -> Invalid:
    return Invalid(message, errors=[{"field": field, "message": message}], param=field)
