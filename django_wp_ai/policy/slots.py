"""Places among a tenant's streams: so many at the same time, over all processes and hosts.

A place is held by a lease of ``LEASE_S``, which a stream renews every ``RENEW_S``; so the places of a process that died
free themselves. The shared cache keeps them (one script, by the server's clock). Where there is none, or it does not
answer in time, rows do. The two count apart, so at a change-over up to one more ``limit`` may pass, until running
streams have renewed their places in the other. This fails closed: with neither, no stream begins.

A tenant without ``max_streams`` costs nothing here.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from django_wp_ai.exceptions import RateLimited
from django_wp_ai.models import StreamSlot, Tenant
from django_wp_ai.shared_cache import CacheUnavailable, Script, shared_cache

logger = logging.getLogger("django_wp_ai.policy")

LEASE_S = 120
RENEW_S = 30
RETRY_AFTER_S = 2.0  # a place frees when some stream ends, which nobody knows

# KEYS: the tenant's places, by when their leases end. ARGV: the time in ms or -1, the lease in ms, the call, the limit
# (-1: hold the place whatever the others do).
HOLD = Script("""
local now = tonumber(ARGV[1])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local lease, call, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
if limit >= 0 and not redis.call('ZSCORE', KEYS[1], call) and redis.call('ZCARD', KEYS[1]) >= limit then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease), call)
redis.call('PEXPIRE', KEYS[1], lease)
return 1
""")

# KEYS: as above. ARGV: the time in ms or -1.
COUNT = Script("""
local now = tonumber(ARGV[1])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now), '+inf')
""")

# KEYS: as above. ARGV: the call.
FREE = Script("return redis.call('ZREM', KEYS[1], ARGV[1])")

_in_rows: set[UUID] = set()  # calls of this process whose place is a row
_lock = threading.Lock()


def require(tenant: Tenant, call_id: UUID) -> None:
    """Blocking: take a place where the tenant has a limit; raises RateLimited when all are taken."""
    limit = tenant.max_streams
    if limit is not None and not take(tenant, call_id, limit=limit):
        detail = f"All places are taken: {limit} streams at the same time."
        raise RateLimited(detail, retry_after_s=RETRY_AFTER_S)


def take(tenant: Tenant, call_id: UUID, *, limit: int, now: float | None = None) -> bool:
    """Blocking: whether the call has one of ``limit`` places, which it must give back. Asking again changes nothing.

    To be called outside a transaction, whose end would keep the tenant's lock. ``now`` (seconds since 1970) is for
    tests; else the store's own clock counts.
    """
    try:
        return _hold_in_cache(tenant, call_id, limit, now)
    except CacheUnavailable:
        pass
    try:
        taken = _hold_row(tenant, call_id, limit, now)
    except (DatabaseError, InterfaceError) as error:
        raise RateLimited("Streams can't be counted at the moment.", retry_after_s=RETRY_AFTER_S) from error
    if taken:
        _note_row(call_id)
    return taken


def renew(tenant: Tenant, call_id: UUID, *, now: float | None = None) -> None:
    """Blocking: hold the place for another lease, wherever places are counted now; a running stream is never refused.

    Where neither store answers, the lease runs on, and the next renewal may succeed.
    """
    if tenant.max_streams is None:
        return
    try:
        _hold_in_cache(tenant, call_id, None, now)
    except CacheUnavailable:
        try:
            _hold_row(tenant, call_id, None, now)
            _note_row(call_id)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("A stream's place was not renewed: %s.", type(error).__name__)


def give_back(tenant: Tenant, call_id: UUID) -> None:
    """Blocking: free the place; one that can't be reached frees itself when its lease ends. Twice is once."""
    with _lock:
        is_row = call_id in _in_rows
        _in_rows.discard(call_id)
    if not is_row and tenant.max_streams is None:
        return
    try:
        if is_row:
            StreamSlot.objects.filter(pk=call_id).delete()
        if shared_cache().runs_scripts:
            shared_cache().run(FREE, [_key(tenant)], [call_id.hex])
    except (CacheUnavailable, DatabaseError, InterfaceError) as error:
        logger.warning("A stream's place frees itself in %s s: %s.", LEASE_S, type(error).__name__)


def in_use(tenant: Tenant, *, now: float | None = None) -> int | None:
    """Blocking: how many places are taken; None where neither store answers."""
    try:
        return int(shared_cache().run(COUNT, [_key(tenant)], [-1 if now is None else int(now * 1000)]))
    except CacheUnavailable:
        pass
    at = timezone.now() if now is None else datetime.fromtimestamp(now, tz=UTC)
    try:
        return StreamSlot.objects.filter(tenant_id=tenant.pk, lease_until__gt=at).count()
    except (DatabaseError, InterfaceError) as error:
        logger.warning("Streams can't be counted: %s.", type(error).__name__)
        return None


def _hold_in_cache(tenant: Tenant, call_id: UUID, limit: int | None, now: float | None) -> bool:
    now_ms = -1 if now is None else int(now * 1000)
    arguments: list[str | int] = [now_ms, LEASE_S * 1000, call_id.hex, -1 if limit is None else limit]
    return bool(shared_cache().run(HOLD, [_key(tenant)], arguments))


def _key(tenant: Tenant) -> str:
    return shared_cache().key(f"django_wp_ai:streams:{tenant.pk}")


def _hold_row(tenant: Tenant, call_id: UUID, limit: int | None, now: float | None) -> bool:
    """As the script does it, one call of a tenant after the other."""
    with transaction.atomic():
        if not connection.features.has_select_for_update:
            # SQLite: a transaction that writes first waits for its turn, one that reads first fails when it writes.
            StreamSlot.objects.filter(pk=call_id).update(tenant_id=tenant.pk)
        locked = Tenant.objects.select_for_update(no_key=connection.features.has_select_for_no_key_update)
        clock = locked.annotate(clock=Now()).values_list("clock", flat=True).get(pk=tenant.pk)
        at = clock if now is None else datetime.fromtimestamp(now, tz=UTC)
        held = StreamSlot.objects.filter(tenant_id=tenant.pk)
        held.filter(lease_until__lte=at).delete()
        if limit is not None and held.exclude(pk=call_id).count() >= limit:
            return False
        StreamSlot.objects.update_or_create(
            pk=call_id, defaults={"tenant_id": tenant.pk, "lease_until": at + timedelta(seconds=LEASE_S)}
        )
        return True


def _note_row(call_id: UUID) -> None:
    with _lock:
        _in_rows.add(call_id)
