"""Whether a site's queue has room for one more job. That guards the table, not money, so it is counted roughly."""

from __future__ import annotations

import threading
import time

from django_wp_ai.conf import settings
from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import Job, Tenant

RETRY_AFTER_S = 30.0
FRESH_S = 1.0
#: Of the room that a count found, a process may use this part before it counts again: so many share it at once.
PROCESSES = 16
MAX_TENANTS = 4096

_places: dict[tuple[int, int], tuple[float, int]] = {}
_lock = threading.Lock()


def require(tenant: Tenant, *, written: int = 0) -> None:
    """Raise RateLimited when the queue is full; ``written`` rows of it are this call's own.

    Two at once may both take the last place. A queue far from full is counted about once a second.
    """
    most = settings.jobs_queued_per_tenant
    key = (tenant.pk, most)
    if _has_place(key):
        return
    rows = Job.objects.for_tenant(tenant).filter(status=Job.Status.QUEUED).order_by()
    free = most + written - rows[: most + written].count()
    if free <= 0:
        raise RateLimited(f"{most} jobs of this site wait already.", retry_after_s=RETRY_AFTER_S)
    with _lock:
        if len(_places) >= MAX_TENANTS:
            _places.clear()
        _places[key] = (time.monotonic(), (free - 1) // PROCESSES)


def _has_place(key: tuple[int, int]) -> bool:
    """Take one of the places that are known to be free."""
    with _lock:
        counted_at, places = _places.get(key, (0.0, 0))
        if places < 1 or time.monotonic() - counted_at > FRESH_S:
            return False
        _places[key] = (counted_at, places - 1)
        return True
