"""Rotate and revoke credentials: a page that asks, and the POST that does it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from django_wp_ai.admin.shown_once import secrets_page
from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Credential
from django_wp_ai.security.issue import BROUGHT, rotate

if TYPE_CHECKING:
    from django_wp_ai.admin.credential import CredentialAdmin

MAX_AT_ONCE = 100


def seen_state(credential: Credential) -> str:
    """What the person who confirms has seen; a POST for another state, such as a second one, does nothing."""
    return f"{credential.pk} {credential.expires_at or ''} {credential.revoked_at or ''}"


def rotate_view(model_admin: CredentialAdmin, request: HttpRequest) -> HttpResponseBase:
    """Ask, then make a successor for each chosen credential and show the new secrets once."""
    if request.method != "POST":
        return _confirmation(model_admin, request, "rotate")
    try:
        with transaction.atomic():
            issued = []
            for old in _confirmed(model_admin, request):
                new = rotate(old)
                issued.append(new)
                model_admin.log_change(request, old, f"Rotated; successor {new.credential.key_id}.")
            tenants = {new.credential.tenant for new in issued}
            tenant = tenants.pop() if len(tenants) == 1 else None
            return secrets_page(model_admin, request, title=_("New secrets"), tenant=tenant, issued=issued)
    except Invalid as error:
        return _refused(model_admin, request, error)


def revoke_view(model_admin: CredentialAdmin, request: HttpRequest) -> HttpResponseBase:
    """Ask, then stop each chosen credential."""
    if request.method != "POST":
        return _confirmation(model_admin, request, "revoke")
    try:
        with transaction.atomic():
            credentials = _confirmed(model_admin, request)
            for credential in credentials:
                credential.revoke()
                model_admin.log_change(request, credential, "Revoked.")
    except Invalid as error:
        return _refused(model_admin, request, error)
    number = len(credentials)
    text = ngettext("%(number)s credential is revoked.", "%(number)s credentials are revoked.", number)
    model_admin.message_user(request, text % {"number": number}, messages.SUCCESS)
    return redirect(_list_url(model_admin))


def _chosen(model_admin: CredentialAdmin, request: HttpRequest, *, lock: bool) -> list[Credential]:
    """The credentials named in the URL; all of them, and all of them changeable by this person."""
    raw = request.GET.getlist("id")
    if not raw or len(raw) > MAX_AT_ONCE or not all(_is_id(text) for text in raw):
        raise Http404
    ids = {int(text) for text in raw}
    found = model_admin.get_queryset(request).filter(pk__in=ids).select_related("tenant").order_by("pk")
    credentials = list(found.select_for_update(of=("self",)) if lock else found)
    if not all(model_admin.has_change_permission(request, credential) for credential in credentials):
        raise PermissionDenied
    if len(credentials) != len(ids):
        raise Http404
    return credentials


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _confirmed(model_admin: CredentialAdmin, request: HttpRequest) -> list[Credential]:
    """The chosen credentials, locked, if they are still as they were shown; raises Invalid."""
    credentials = _chosen(model_admin, request, lock=True)
    if sorted(request.POST.getlist("seen")) != sorted(seen_state(credential) for credential in credentials):
        raise Invalid(_("Nothing was done: a credential was changed since the page was shown. Look again."))
    return credentials


def _confirmation(model_admin: CredentialAdmin, request: HttpRequest, verb: str) -> TemplateResponse:
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    credentials = _chosen(model_admin, request, lock=False)
    title = _("Rotate credentials") if verb == "rotate" else _("Revoke credentials")
    blocked = [one for one in credentials if verb == "rotate" and not can_rotate(one)]
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": title,
        "title": title,
        "has_view_permission": True,
        "media": model_admin.media,
        "verb": verb,
        "rows": [(credential, seen_state(credential)) for credential in credentials],
        "blocked": blocked,
        "back_url": _list_url(model_admin),
    }
    return TemplateResponse(request, "admin/django_wp_ai/credential/confirm.html", context)


def can_rotate(credential: Credential) -> bool:
    """Whether we can make it a successor: it lives, and its secret is ours."""
    return credential.is_live() and credential.kind not in BROUGHT


def _refused(model_admin: CredentialAdmin, request: HttpRequest, error: Invalid) -> HttpResponseBase:
    model_admin.message_user(request, error.detail, messages.ERROR)
    return redirect(_list_url(model_admin))


def _list_url(model_admin: CredentialAdmin) -> str:
    return reverse(f"{model_admin.admin_site.name}:django_wp_ai_credential_changelist")
