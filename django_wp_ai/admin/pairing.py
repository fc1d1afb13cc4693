"""The page that makes a pairing code and shows it once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.forms import Media
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from django_wp_ai.admin.make_credential import may_make
from django_wp_ai.exceptions import Invalid
from django_wp_ai.gateway import pairing

if TYPE_CHECKING:
    from django_wp_ai.admin.tenant import TenantAdmin


def pairing_code(model_admin: TenantAdmin, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
    """GET what a code is for, POST and see one; whoever may make credentials may make a code, which becomes some."""
    tenant = model_admin.get_object(request, str(tenant_id))
    if tenant is None:
        raise Http404
    if not (may_make(request) and model_admin.has_view_permission(request, tenant)):
        raise PermissionDenied
    title = _("Pairing code for %(tenant)s") % {"tenant": tenant}
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": title,
        "title": title,
        "has_view_permission": True,
        "media": model_admin.media + Media(js=["django_wp_ai/admin/copy.js"]),
        "tenant": tenant,
        "minutes": int(pairing.LIFETIME.total_seconds() // 60),
        "back_url": reverse(f"{model_admin.admin_site.name}:django_wp_ai_tenant_change", args=[tenant.pk]),
    }
    if request.method == "POST":
        try:
            context["made"] = pairing.make(tenant)
        except Invalid as error:
            context["refused"] = error.detail
        else:
            model_admin.log_change(request, tenant, "Made a pairing code.")
    response = TemplateResponse(request, "admin/django_wp_ai/tenant/pairing_code.html", context)
    response["Cache-Control"] = "no-store"
    return response
