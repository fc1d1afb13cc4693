"""Which callbacks an operator means."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django_wp_ai.models import Callback, Tenant
from django_wp_ai.models.callback import CallbackQuerySet


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """All that is given must hold; nothing given means every callback. Times are those of their making."""

    tenant: Tenant | None = None
    ids: Sequence[uuid.UUID] = ()
    job_id: uuid.UUID | None = None
    states: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None

    def rows(self) -> CallbackQuerySet:
        """Without the bodies."""
        rows = Callback.objects.all() if self.tenant is None else Callback.objects.for_tenant(self.tenant)
        criteria = {
            "pk__in": list(self.ids),
            "job_id": self.job_id,
            "state__in": list(self.states),
            "created_at__gte": self.since,
            "created_at__lt": self.until,
        }
        return rows.filter(**{name: value for name, value in criteria.items() if value}).defer("body_sealed")
