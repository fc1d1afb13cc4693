"""The form of a tenant's settings: what belongs together, and what is checked beyond each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from django_wp_ai.gateway import site_settings
from django_wp_ai.models import Budget, Tenant

if TYPE_CHECKING:
    ModelForm = forms.ModelForm[Tenant]
    StackedInline = admin.StackedInline[Budget, Tenant]
else:
    ModelForm, StackedInline = forms.ModelForm, admin.StackedInline

CLOSED = ("collapse",)
FIELDSETS = (
    (_("Browser and callbacks"), {"fields": ("origins", "callback_hosts", "callback_url")}),
    (
        _("Limits"),
        {
            "fields": (
                ("rpm", "rpd", "tpm"),
                ("end_user_rpm", "end_user_rpd"),
                ("ip_rpm", "max_streams"),
                "routes",
            ),
            "description": _("Windows slide. Empty means no limit of that kind."),
        },
    ),
    (
        _("Budgets and alerts"),
        {
            "fields": (
                ("budget_day_usd", "budget_month_usd"),
                ("soft_budget_day_usd", "soft_budget_month_usd"),
                "alert_emails",
                "alert_url",
                "digest",
            ),
            "description": _(
                "A hard budget refuses calls, a soft one only tells. An alert is sent once when a soft budget "
                "or 80 % of a hard one is used. Budgets of single users and models are further down."
            ),
        },
    ),
    (
        _("Models"),
        {
            "fields": (
                "allowed_models",
                "denied_models",
                "model_aliases",
                "default_model",
                "system_prompt",
                ("default_max_tokens", "max_tokens_limit"),
                ("default_temperature", "temperature_min", "temperature_max"),
            )
        },
    ),
    (
        _("Answers"),
        {
            "fields": (
                ("cache_mode", "cache_ttl_s"),
                "cache_per_end_user",
                ("conversation_tokens", "conversation_days"),
                "allowed_tools",
            ),
            "classes": CLOSED,
        },
    ),
    (
        _("Jobs"),
        {
            "fields": ("max_running_jobs", ("job_rpm", "end_user_job_rpm"), ("job_days", "job_retention")),
            "classes": CLOSED,
        },
    ),
    (
        _("Content"),
        {
            "fields": ("redact_pii", "redaction_locales", "redaction_patterns", "denied_terms", "moderation"),
            "classes": CLOSED,
        },
    ),
    (
        _("Retrieval"),
        {"fields": ("embedding_model", "content_types"), "classes": CLOSED},
    ),
)


class TenantForm(ModelForm):
    """Refuses settings that calls of the site would fail with."""

    def clean(self) -> dict[str, Any] | None:
        """Check what is right field by field together; a field that is wrong by itself keeps its own message."""
        cleaned = super().clean()
        given = {name: value for name, value in self.cleaned_data.items() if name in site_settings.FIELDS}
        if set(given) == site_settings.FIELDS & set(self.fields):
            try:
                site_settings.check(Tenant(**given))
            except ValidationError as error:
                self.add_error(None, error)
        return cleaned


class BudgetInline(StackedInline):
    """Budgets of users and models; stacked, because a table of them is wider than a phone."""

    model = Budget
    extra = 0
    verbose_name = _("budget of users or models")
    verbose_name_plural = _("budgets of users and models")
    fields = (("applies_to", "name"), ("period", "amount_usd", "is_hard"))

    def formfield_for_dbfield(
        self, db_field: models.Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.Field | None:
        """The name's help says what may stand there."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "name" and field is not None:
            field.help_text = _(
                "An end user's id, or a model such as openai:gpt-4o or gpt-*. Empty: each one for itself."
            )
        return field
