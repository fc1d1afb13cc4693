"""A tenant's rules: midnight in its time zone, who stands above it, what may stand in its lists."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from django_wp_ai.models import Tenant
from django_wp_ai.models.credential import validate_cidrs, validate_scopes
from django_wp_ai.models.tenant import normalise_url, validate_names, validate_origins
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("zone", "at", "day", "month"),
    [
        ("UTC", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("UTC", "2026-02-28T23:59:59Z", "2026-02-28T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("Asia/Tokyo", "2026-02-28T15:00:00Z", "2026-02-28T15:00:00Z", "2026-02-28T15:00:00Z"),
        ("Asia/Tokyo", "2026-02-28T14:59:59Z", "2026-02-27T15:00:00Z", "2026-01-31T15:00:00Z"),
        ("America/Los_Angeles", "2026-03-08T20:00:00Z", "2026-03-08T08:00:00Z", "2026-03-01T08:00:00Z"),  # 23 h
        ("America/Los_Angeles", "2026-03-31T20:00:00Z", "2026-03-31T07:00:00Z", "2026-03-01T08:00:00Z"),
        ("Europe/Berlin", "2026-10-25T22:30:00Z", "2026-10-24T22:00:00Z", "2026-09-30T22:00:00Z"),  # 25 h
        ("Africa/Cairo", "2024-04-25T22:30:00Z", "2024-04-25T22:00:00Z", "2024-03-31T22:00:00Z"),  # no midnight
        ("Atlantic/Azores", "2026-10-25T00:30:00Z", "2026-10-25T00:00:00Z", "2026-10-01T00:00:00Z"),  # two of them
        ("Atlantic/Azores", "2026-10-25T01:30:00Z", "2026-10-25T00:00:00Z", "2026-10-01T00:00:00Z"),
        ("Pacific/Kiritimati", "2026-01-01T09:59:59Z", "2025-12-31T10:00:00Z", "2025-12-31T10:00:00Z"),
    ],
)
def test_a_day_and_a_month_begin_at_the_tenants_own_midnight(zone: str, at: str, day: str, month: str) -> None:
    tenant = Tenant(timezone=zone)
    moment = datetime.fromisoformat(at)
    assert tenant.start_of_day(moment).astimezone(UTC) == datetime.fromisoformat(day)
    assert tenant.start_of_month(moment).astimezone(UTC) == datetime.fromisoformat(month)


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Atlantic/Azores", "Africa/Cairo", "Asia/Beirut"])
def test_days_follow_each_other_without_gap_or_overlap(zone: str) -> None:
    tenant, start = Tenant(timezone=zone), datetime(2024, 1, 1, tzinfo=UTC)
    begins = [tenant.start_of_day(start + timedelta(hours=hour)).astimezone(UTC) for hour in range(24 * 366)]
    assert begins == sorted(begins)
    assert len(set(begins)) in (366, 367)
    assert all(begin.astimezone(ZoneInfo(zone)).minute == 0 for begin in begins)


def test_now_is_the_default_moment() -> None:
    assert Tenant(timezone="UTC").start_of_day() <= timezone.now()


def test_a_circle_of_parents_is_refused_however_long() -> None:
    first = TenantFactory.create()
    below = first
    for _ in range(3):
        below = TenantFactory.create(parent=below)
    first.parent = below
    with pytest.raises(ValidationError, match="above itself"):
        first.clean()
    first.parent = first
    with pytest.raises(ValidationError, match="above itself"):
        first.clean()
    first.parent = TenantFactory.create()
    first.clean()


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("HTTPS://Shop.Example.ORG/Blog/", "https://shop.example.org/Blog"),
        ("https://x.org", "https://x.org"),
        ("", ""),
        ("no-url", ""),
    ],
)
def test_a_site_url_is_stored_as_it_is_compared(url: str, stored: str) -> None:
    assert normalise_url(url) == stored
    assert TenantFactory.create(site_url=url).site_url == stored


@pytest.mark.parametrize(
    ("validate", "good", "bad"),
    [
        (
            validate_origins,
            ["https://a.org", "http://[::1]:80"],
            ["*", "a.org", "https://a.org/", "https://*.a.org", 5],
        ),
        (validate_names, ["a", "b-*"], ["", "  ", 5, None]),
        (validate_scopes, ["chat", "rag.read"], ["admin", "", 5, None]),
        (validate_cidrs, ["10.0.0.0/8", "::1/128"], ["10.0.0.1/8", "host", None, ""]),
    ],
)
def test_lists_are_checked_item_by_item(validate: Callable[[Any], None], good: list[Any], bad: list[Any]) -> None:
    validate(good)
    validate([])
    for item in bad:
        with pytest.raises(ValidationError):
            validate([*good, item])
    for no_list in ("text", 5, None):
        with pytest.raises(ValidationError):
            validate(no_list)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "utc+1", "../UTC"])
def test_an_unknown_time_zone_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError):
        Tenant(slug="x", timezone=zone).full_clean()


@pytest.mark.parametrize("url", ["ftp://x.org", "javascript://x.org/%0aalert(1)"])
def test_a_site_that_is_not_on_the_web_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="http"):
        Tenant(slug="x", site_url=url).clean()
