from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from django_wp_ai.models import Tenant, UsageEvent

MODELS = ("tenant", "credential", "usageevent", "job", "document", "authfailurecount", "prompttemplate", "conversation")


@pytest.fixture
def log_in(db: None) -> Callable[..., Client]:
    """A client of a staff member with exactly the permissions named, such as ``view_tenant``; checks CSRF on demand."""

    def log_in(*permissions: str, csrf: bool = False) -> Client:
        user = User.objects.create_user(f"user-{User.objects.count()}", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(content_type__app_label="django_wp_ai", codename__in=permissions)
        )
        client = Client(enforce_csrf_checks=csrf)
        client.force_login(user)
        return client

    return log_in


@pytest.fixture
def viewer(log_in: Callable[..., Client]) -> Client:
    """May look at everything and change nothing."""
    return log_in(*(f"view_{model}" for model in MODELS))


@pytest.fixture
def used() -> Callable[..., UsageEvent]:
    """Makes usage rows."""

    def used(tenant: Tenant, *, at: datetime | None = None, pending: bool = False, **fields: Any) -> UsageEvent:
        at = at or timezone.now()
        state = {} if pending else {"state": "settled", "settled_at": at}
        defaults = {"route": "chat", "provider": "openai", "model": "gpt-4o-mini"}
        return UsageEvent.objects.create(tenant=tenant, created_at=at, **{**defaults, **state, **fields})

    return used
