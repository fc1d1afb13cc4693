"""The page that shows new secrets: the answer to the POST that made them, kept nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.forms import Media
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import reverse

from django_wp_ai.models import Tenant
from django_wp_ai.security.issue import Issued

if TYPE_CHECKING:
    from django_wp_ai.admin.base import GuardedAdmin


def secrets_page(
    model_admin: GuardedAdmin[Any], request: HttpRequest, *, title: str, tenant: Tenant | None, issued: Sequence[Issued]
) -> TemplateResponse:
    """Show ``issued`` once.

    Rendered here, inside the caller's transaction: if the page can't be made, neither are the credentials.
    """
    site = model_admin.admin_site
    back = "django_wp_ai_tenant_change" if tenant else "django_wp_ai_credential_changelist"
    context = {
        **site.each_context(request),
        "opts": model_admin.opts,
        "original": title,
        "title": title,
        "has_view_permission": model_admin.has_view_permission(request),
        "media": model_admin.media + Media(js=["django_wp_ai/admin/copy.js"]),
        "tenant": tenant,
        "issued": issued,
        "back_url": reverse(f"{site.name}:{back}", args=[tenant.pk] if tenant else []),
    }
    response = TemplateResponse(request, "admin/django_wp_ai/secrets_once.html", context)
    response["Cache-Control"] = "no-store"
    response.render()
    return response
