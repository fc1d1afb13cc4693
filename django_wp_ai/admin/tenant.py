"""Tenants: who they are, what they may use, what they spent, which keys they have."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from django_wp_ai.admin.base import GuardedAdmin
from django_wp_ai.admin.display import count, credential_badge, spent_of, usd_sum
from django_wp_ai.admin.make_credential import make_credential, may_make
from django_wp_ai.admin.pairing import pairing_code
from django_wp_ai.admin.shown_once import secrets_page
from django_wp_ai.admin.spend import counted, spend_since, with_month_to_date
from django_wp_ai.admin.tenant_settings import FIELDSETS, BudgetInline, TenantForm
from django_wp_ai.admin.try_it import may_try, try_it
from django_wp_ai.gateway import site_settings
from django_wp_ai.models import BudgetPeriod, Credential, Tenant
from django_wp_ai.security.issue import issue_site_keys

if TYPE_CHECKING:
    TabularInline = admin.TabularInline[Credential, Tenant]
else:
    TabularInline = admin.TabularInline


class CredentialInline(TabularInline):
    """A tenant's credentials as rows to look at; they are made, rotated and revoked on pages of their own."""

    model = Credential
    template = "admin/django_wp_ai/tenant/credentials.html"
    verbose_name_plural = _("credentials")
    fields = readonly_fields = ("kind", "profile", "key_id", "scope_list", "status", "expires_at", "last_used_at")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never by typing a secret."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Rows are looked at here."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        """With the tenant, which a row's state looks at; what still works comes first."""
        revoked_last = F("revoked_at").asc(nulls_first=True)
        return super().get_queryset(request).select_related("tenant").order_by(revoked_last, "kind", "-created_at")

    @admin.display(description=_("scopes"))
    def scope_list(self, credential: Credential) -> str:
        """Scopes parted by commas."""
        return ", ".join(credential.scopes)

    @admin.display(description=_("status"))
    def status(self, credential: Credential) -> SafeString:
        """Where in its life it is."""
        return credential_badge(credential)


@admin.register(Tenant)
class TenantAdmin(GuardedAdmin[Tenant]):
    """One site a row; adding one makes its first keys."""

    list_display = ("slug", "is_active", "budget", "month_to_date", "unknown_price", "site")
    list_filter = ("is_active", ("parent", admin.RelatedOnlyFieldListFilter), "created_at")
    search_fields = ("slug", "name", "site_url")
    autocomplete_fields = ("parent",)
    readonly_fields = ("today", "this_month", "created_at", "updated_at")
    inlines = (CredentialInline, BudgetInline)
    form = TenantForm
    change_form_template = "admin/django_wp_ai/tenant/change_form.html"
    identity: ClassVar = ("slug", "name", "site_url", "parent", "is_active", "timezone")
    settings_fieldsets: ClassVar = FIELDSETS

    def get_fieldsets(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        """Spending is shown for a tenant that exists."""
        identity = (None, {"fields": self.identity})
        if obj is None:
            return (identity, *self.settings_fieldsets)
        spending = (_("Spending"), {"fields": ("today", "this_month")})
        record = (_("Record"), {"fields": (("created_at", "updated_at"),)})
        return (identity, spending, *self.settings_fieldsets, record)

    def get_readonly_fields(self, request: HttpRequest, obj: Tenant | None = None) -> Any:
        """The slug stays: tokens of the site name it."""
        return (*self.readonly_fields, "slug") if obj else self.readonly_fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Tenant]:
        """Tenants with what they spent this month."""
        return with_month_to_date(super().get_queryset(request))

    def has_delete_permission(self, request: HttpRequest, obj: Tenant | None = None) -> bool:
        """A tenant is deactivated: deleting it would take its records along."""
        return False

    def get_inlines(self, request: HttpRequest, obj: Tenant | None) -> Any:
        """A new tenant has no credentials to list; budgets of parts come after those of the whole."""
        return self.inlines if obj else ()

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """The parent is chosen only: a tenant added in a pop-up could not show its keys."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "parent" and field is not None:
            widget: Any = field.widget
            widget.can_add_related = widget.can_change_related = widget.can_delete_related = False
        return field

    @admin.display(description=_("spent this month"), ordering="month_spend")
    def month_to_date(self, tenant: Any) -> str:
        """Known cost since the month began in the tenant's time zone."""
        return usd_sum(tenant.month_spend)

    @admin.display(description=_("monthly budget"), ordering="month_share")
    def budget(self, tenant: Any) -> SafeString | str:
        """A bar of the monthly budget, which the tenants below share."""
        return "-" if tenant.budget_month_usd is None else spent_of(tenant.month_counted, tenant.budget_month_usd)

    @admin.display(description=_("unknown price"), ordering="month_unknown")
    def unknown_price(self, tenant: Any) -> str:
        """How many calls of this month have no known price, and so are missing from the sum."""
        return _("%(number)s unknown") % {"number": count(tenant.month_unknown)} if tenant.month_unknown else "-"

    @admin.display(description=_("site URL"), ordering="site_url")
    def site(self, tenant: Tenant) -> SafeString | str:
        """A link to the site."""
        if not tenant.site_url:
            return "-"
        label = tenant.site_url.partition("://")[2]
        return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', tenant.site_url, label)

    @admin.display(description=_("today"))
    def today(self, tenant: Tenant) -> SafeString:
        """Use since midnight in the tenant's time zone."""
        return _spend_line(tenant, BudgetPeriod.Kind.DAY, tenant.budget_day_usd)

    @admin.display(description=_("this month"))
    def this_month(self, tenant: Tenant) -> SafeString:
        """Use since the month began in the tenant's time zone."""
        return _spend_line(tenant, BudgetPeriod.Kind.MONTH, tenant.budget_month_usd)

    def get_urls(self) -> list[URLPattern]:
        """With the pages that make a credential and a pairing code, and the one that asks the site's content."""
        views: dict[str, Callable[..., Any]] = {
            "make-credential": self.make_credential_view,
            "pairing-code": self.pairing_code_view,
            "try-it": self.try_it_view,
        }
        own = [
            path(f"<int:tenant_id>/{slug}/", self.admin_site.admin_view(view), name=_page(slug))
            for slug, view in views.items()
        ]
        return [*own, *super().get_urls()]

    def make_credential_view(self, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
        """Make a credential for one tenant."""
        return make_credential(self, request, tenant_id)

    def pairing_code_view(self, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
        """Make a pairing code for one tenant."""
        return pairing_code(self, request, tenant_id)

    def try_it_view(self, request: HttpRequest, tenant_id: int) -> HttpResponseBase:
        """Ask one tenant's content."""
        return try_it(self, request, tenant_id)

    def save_model(self, request: HttpRequest, obj: Tenant, form: Any, change: bool) -> None:
        """Save, and remark on what is probably not meant so."""
        super().save_model(request, obj, form, change)
        for doubt in site_settings.doubts(obj):
            self.message_user(request, doubt, messages.WARNING)

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        """Add what the object tools link to, as far as this person may."""
        tenant = kwargs.get("obj")
        if tenant is not None:
            base = self.admin_site.name
            if may_make(request):
                context["make_credential_url"] = reverse(f"{base}:{_page('make-credential')}", args=[tenant.pk])
                context["pairing_code_url"] = reverse(f"{base}:{_page('pairing-code')}", args=[tenant.pk])
            if may_try(request):
                context["try_it_url"] = reverse(f"{base}:{_page('try-it')}", args=[tenant.pk])
            if request.user.has_perm("django_wp_ai.view_usageevent"):
                usage = reverse(f"{base}:django_wp_ai_usageevent_changelist")
                context["usage_url"] = f"{usage}?tenant__id__exact={tenant.pk}"
        return super().render_change_form(request, context, *args, **kwargs)

    def response_add(self, request: HttpRequest, obj: Tenant, post_url_continue: str | None = None) -> HttpResponse:
        """Answer with the first keys of the site, once; runs in the transaction that added the tenant."""
        if not may_make(request):
            self.message_user(request, _("No keys were made: you may not make credentials."), messages.WARNING)
            return super().response_add(request, obj, post_url_continue)
        keys = issue_site_keys(obj)
        title = str(_("First keys of %(tenant)s") % {"tenant": obj})
        issued = [keys.hmac, keys.jwt, keys.api_key, keys.callback]
        return secrets_page(self, request, title=title, tenant=obj, issued=issued)


def _page(slug: str) -> str:
    return f"django_wp_ai_tenant_{slug.replace('-', '_')}"


def _spend_line(tenant: Tenant, kind: str, budget: Decimal | None) -> SafeString:
    start = tenant.start_of_day() if kind == BudgetPeriod.Kind.DAY else tenant.start_of_month()
    spend = spend_since(tenant, start)
    own = usd_sum(spend.cost_usd)
    against = counted(tenant, kind, start)
    bar = own if budget is None else spent_of(spend.cost_usd if against is None else against, budget)
    calls = _("%(number)s calls") % {"number": count(spend.calls)}
    unknown = _(", %(number)s of them with unknown price") % {"number": count(spend.unknown)} if spend.unknown else ""
    return format_html('{}<div class="quiet">{}{}</div>', bar, calls, unknown)
