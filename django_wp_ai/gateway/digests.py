"""Digests: a mail about a tenant's last day or week, to its alert addresses, once that time has ended there.

A worker that takes a tenant moves ``digest_next_at`` ahead first, so no other sends the same, and notes what was told
in ``digest_sent_until`` after it was sent. A mail that fails is tried again by later runs, until the next digest takes
its place. A process that dies between sending and noting it sends twice.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from django.core.mail import EmailMessage
from django.db.models import F, Q
from django.utils import timezone

from django_wp_ai.gateway import digest_text
from django_wp_ai.models import Tenant

logger = logging.getLogger("django_wp_ai.gateway")

#: How long a worker has a tenant to itself; below the hour between two runs, so that the next one tries again.
HELD = timedelta(minutes=30)


def send_due() -> int:
    """Blocking: send the digests whose day or week has ended; how many were sent. Where nothing happened none is."""
    now = timezone.now()
    wanted = Tenant.objects.filter(_is_free(now), is_active=True).exclude(digest=Tenant.Digest.OFF)
    sent = 0
    # Who failed the last time comes last, so that nobody waits behind it for ever.
    for tenant in wanted.order_by(F("digest_next_at").asc(nulls_first=True), "pk"):
        start, end = _period(tenant, now)
        is_told = tenant.digest_sent_until is not None and tenant.digest_sent_until >= end
        if tenant.alert_emails and not is_told and _claim(tenant):
            sent += _send(tenant, start, end)
    return sent


def _period(tenant: Tenant, now: datetime) -> tuple[datetime, datetime]:
    """The last whole day, or week from Monday on, of the tenant's time zone; the end no longer belongs to it."""
    end, days = tenant.start_of_day(now), 1
    if tenant.digest == Tenant.Digest.WEEKLY:
        end, days = end - timedelta(days=end.weekday()), 7
    # Days on the wall, not 24 hours each: they are taken off before the time zone is.
    return (end - timedelta(days=days)).astimezone(UTC), end.astimezone(UTC)


def _is_free(now: datetime) -> Q:
    return Q(digest_next_at=None) | Q(digest_next_at__lte=now)


def _claim(tenant: Tenant) -> bool:
    """Whether this worker is the one that took the tenant as it was read."""
    now = timezone.now()
    seen = Tenant.objects.filter(
        _is_free(now),
        pk=tenant.pk,
        is_active=True,
        digest=tenant.digest,
        digest_sent_until=tenant.digest_sent_until,
    )
    return bool(seen.update(digest_next_at=now + HELD))


def _send(tenant: Tenant, start: datetime, end: datetime) -> bool:
    """Whether a mail went out; a time in which nothing happened is done with all the same."""
    digest = digest_text.write(tenant, start=start, end=end)
    if digest is not None:
        try:
            EmailMessage(digest.subject, digest.body, to=tenant.alert_emails).send()
        except Exception as error:  # noqa: BLE001 - a mail backend raises what it likes
            name = type(error).__name__
            logger.warning("The digest of tenant %s could not be mailed (%s); tried again.", tenant.slug, name)
            return False
    behind = Q(digest_sent_until=None) | Q(digest_sent_until__lt=end)
    Tenant.objects.filter(behind, pk=tenant.pk).update(digest_sent_until=end)
    return digest is not None
