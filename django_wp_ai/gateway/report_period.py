"""The time that a report is about, as people write it."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta

from django.utils import timezone

from django_wp_ai.exceptions import Invalid
from django_wp_ai.models import Tenant

_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
#: RFC 3339; without an offset it is the tenant's time, and a space is a plus sign that a query string lost.
_INSTANT = re.compile(r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d:\d\d(?:\.\d{1,6})?)([Zz]|[+ -]\d\d:\d\d)?", re.ASCII)


def period(tenant: Tenant, start: str, end: str) -> tuple[datetime, datetime]:
    """From the first text to the second, as instants of which the second no longer belongs to the time.

    A date means the tenant's whole day, also as the end; an instant as the end is left out. Without an end it is today,
    without a beginning the first day of the end's month. Raises Invalid.
    """
    until = _moment(tenant, end, "to", is_end=True) if end else _midnight(tenant, _today(tenant) + timedelta(days=1))
    if start:
        return _moment(tenant, start, "from", is_end=False), until
    return tenant.start_of_month(until - timedelta(microseconds=1)).astimezone(UTC), until


def _today(tenant: Tenant) -> date:
    return timezone.localtime(timezone.now(), zoneinfo.ZoneInfo(tenant.timezone)).date()


def _moment(tenant: Tenant, text: str, name: str, *, is_end: bool) -> datetime:
    try:
        if _DATE.fullmatch(text):
            return _midnight(tenant, date.fromisoformat(text) + timedelta(days=is_end))
        if match := _INSTANT.fullmatch(text):
            day, clock, offset = match.groups(default="")
            at = datetime.fromisoformat(f"{day}T{clock}{offset.upper().replace(' ', '+').replace('Z', '+00:00')}")
            return (at if offset else at.replace(tzinfo=zoneinfo.ZoneInfo(tenant.timezone))).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    message = "Give a date such as 2026-11-30, or a time such as 2026-11-30T12:00:00Z."
    raise Invalid(f"{name}: {message}", errors=[{"field": name, "message": message}], param=name)


def _midnight(tenant: Tenant, day: date) -> datetime:
    return datetime.combine(day, time(), zoneinfo.ZoneInfo(tenant.timezone)).astimezone(UTC)
