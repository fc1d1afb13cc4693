"""The form and view that make a credential for a tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import PermissionDenied
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import scopes_field
from django_wp_ai.admin.shown_once import secrets_page
from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Credential, Tenant
from django_wp_ai.models.credential import KEY_ID_ALPHABET, new_key_id
from django_wp_ai.security.issue import Issued, issue

if TYPE_CHECKING:
    from django_wp_ai.admin.tenant import TenantAdmin

Kind = Credential.Kind
FIELDSETS = [
    (None, {"fields": ["kind", "label", "scopes", "expires_in_days", "key_id"]}),
    (_("For a shared secret with HMAC signatures"), {"fields": ["profile"]}),
    (_("For a public key"), {"fields": ["public_key"]}),
    (
        _("For an Application Password"),
        {
            "fields": ["username", "password"],
            "description": _("Made by WordPress under Users, Profile; with it callbacks may write to the site."),
        },
    ),
]


def may_make(request: HttpRequest) -> bool:
    """Whether this person may make credentials."""
    return request.user.has_perm("django_wp_ai.add_credential")


class _UnechoedTextarea(AdminTextareaWidget):
    """Never sends back what was entered: it may be a private key, by mistake."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """The widget without its value."""
        return super().get_context(name, None, attrs)


class MakeCredentialForm(forms.Form):
    """What a new credential should be; the secret is made by us."""

    kind = forms.ChoiceField(label=_("Kind"))
    label = forms.CharField(label=_("Label"), max_length=100, required=False, widget=AdminTextInputWidget)
    scopes = scopes_field(help_text=_("What calls with this credential may do."))
    expires_in_days = forms.IntegerField(
        label=_("Expires after (days)"), required=False, min_value=1, max_value=36500, help_text=_("Empty: never.")
    )
    profile = forms.ChoiceField(label=_("Signature profile"), required=False)
    public_key = forms.CharField(
        label=_("Public key (PEM)"), required=False, max_length=65536, widget=_UnechoedTextarea
    )
    username = forms.CharField(label=_("WordPress user"), max_length=100, required=False, widget=AdminTextInputWidget)
    password = forms.CharField(
        label=_("Application Password"),
        max_length=200,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "class": "vTextField"}),
        help_text=_("Stored encrypted, and never shown again."),
    )
    # The key id is fixed when the form is shown, so that sending the form twice can't make two credentials.
    key_id = forms.CharField(
        widget=forms.HiddenInput,
        initial=new_key_id,
        max_length=64,
        validators=[RegexValidator(f"^[{KEY_ID_ALPHABET}]{{12}}\\Z")],
    )

    def __init__(self, tenant: Tenant, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tenant = tenant
        kinds = list(Kind.choices)
        if Credential.objects.for_tenant(tenant).with_status(Credential.Status.LIVE).filter(kind=Kind.CALLBACK):
            # One signs callbacks; it is rotated, not doubled.
            kinds = [choice for choice in kinds if choice[0] != Kind.CALLBACK]
        self.fields["kind"].choices = kinds  # type: ignore[attr-defined]  # a ChoiceField
        native, *legacy = Credential.Profile.choices
        self.fields["profile"].choices = [("", native[1]), *legacy]  # type: ignore[attr-defined]  # a ChoiceField

    def issue(self) -> Issued | None:
        """Make the credential; ``None`` leaves the reason in ``errors``."""
        data = self.cleaned_data
        days = data["expires_in_days"]
        try:
            with transaction.atomic():
                return issue(
                    self.tenant,
                    kind=data["kind"],
                    key_id=data["key_id"],
                    profile=data["profile"],
                    scopes=data["scopes"],
                    public_key=data["public_key"],
                    expires_in=timedelta(days=days) if days else None,
                    label=data["label"],
                    username=data["username"],
                    password=data["password"],
                )
        except Invalid as error:
            self.add_error(error.param if error.param in self.fields else None, error.detail)
        except IntegrityError:
            self.add_error(None, _("This form was sent before; its credential exists already."))
        return None


def make_credential(model_admin: TenantAdmin, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
    """GET the form, POST it and see the secret once."""
    tenant = model_admin.get_object(request, str(tenant_id))
    if tenant is None:
        raise Http404
    if not (may_make(request) and model_admin.has_view_permission(request, tenant)):
        raise PermissionDenied
    form = MakeCredentialForm(tenant, request.POST or None)
    if request.method == "POST" and form.is_valid():
        with transaction.atomic():
            issued = form.issue()
            if issued is not None:
                model_admin.log_change(request, tenant, f"Made credential {issued.credential.key_id}.")
                if issued.credential.kind == Kind.APP_PASSWORD:
                    model_admin.message_user(request, _("The Application Password is stored."), messages.SUCCESS)
                    return redirect(f"{model_admin.admin_site.name}:django_wp_ai_tenant_change", tenant.pk)
                title = str(_("New credential of %(tenant)s") % {"tenant": tenant})
                return secrets_page(model_admin, request, title=title, tenant=tenant, issued=[issued])
    return _form_page(model_admin, request, tenant, form)


def _form_page(
    model_admin: TenantAdmin, request: HttpRequest, tenant: Tenant, form: MakeCredentialForm
) -> TemplateResponse:
    admin_form = helpers.AdminForm(form, FIELDSETS, {}, (), model_admin)  # type: ignore[arg-type]  # any form will do
    title = _("Make a credential for %(tenant)s") % {"tenant": tenant}
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "original": title,
        "title": title,
        "has_view_permission": True,
        "media": model_admin.media + form.media,
        "adminform": admin_form,
        "errors": list(form.errors),
        "tenant": tenant,
        "back_url": reverse(f"{model_admin.admin_site.name}:django_wp_ai_tenant_change", args=[tenant.pk]),
    }
    return TemplateResponse(request, "admin/django_wp_ai/make_credential.html", context)
