"""Authentication failures: a list to look at."""

from __future__ import annotations

from django.contrib import admin

from django_wp_ai.admin.base import ReadOnlyAdmin
from django_wp_ai.models import AuthFailureCount


@admin.register(AuthFailureCount)
class AuthFailureCountAdmin(ReadOnlyAdmin[AuthFailureCount]):
    """Refused calls by hour, method and reason."""

    list_display = ("hour", "method", "reason", "count")
    list_filter = ("method", "reason")
    date_hierarchy = "hour"
    fields = readonly_fields = ("hour", "method", "reason", "count")
