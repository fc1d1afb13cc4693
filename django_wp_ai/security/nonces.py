"""Values that count once, in every process: nonces, one-time tokens, bodies of signatures without a timestamp.

The shared cache keeps them, by one atomic command. Where the cache is per process or in the database, or does not
answer in time, a row with a unique key does. This fails closed: without cache and without database no signed call
passes. A process that had to use rows goes on to look at them, besides the cache, for as long as they count; so what
it took while the cache was down is not taken again when the cache is back.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
import uuid
from datetime import timedelta

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.db import DatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.db import IntegrityError, transaction
from django.utils import timezone

from django_wp_ai.conf import settings
from django_wp_ai.models import SpentNonce
from django_wp_ai.shared_cache import CacheUnavailable, Run, Script, shared_cache
from django_wp_ai.together import Steps, ask, blocking

logger = logging.getLogger("django_wp_ai.security")

SWEEP_CHANCE = 0.01

# KEYS: the value's. ARGV: an id of this call, which knows its own success should the reply be lost; ms to keep it.
SPEND = Script("""
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
""")

_rows_until_s = 0.0  # until then the rows that this process wrote count beside a cache that answers again
_rows_lock = threading.Lock()


def is_shared(cache: BaseCache) -> bool:
    """Whether all processes of a site see the same entries."""
    return not isinstance(cache, (LocMemCache, DummyCache, FileBasedCache))


def _keeps_nonces(cache: BaseCache) -> bool:
    """Whether ``add`` has one winner and holds for the whole time; a database cache drops entries when it is full."""
    return is_shared(cache) and not isinstance(cache, DatabaseCache)


def spending(scope: str, value: str, *, ttl_s: int) -> Steps[bool]:
    """True for the first caller with this value within ``ttl_s`` seconds, False for every other one."""
    key = hashlib.sha256(f"{scope}\x00{value}".encode("utf-8", "surrogatepass")).hexdigest()
    if not shared_cache().runs_scripts and not _keeps_nonces(caches[settings.cache_alias]):
        return _spend_row(key, ttl_s)
    try:
        first = yield from _spending_in_cache(f"django_wp_ai:nonce:{key}", ttl_s)
    except CacheUnavailable:
        _use_rows_for(ttl_s)
        return _spend_row(key, ttl_s)
    return first and (time.monotonic() >= _rows_until_s or _spend_row(key, ttl_s))


spend = blocking(spending)


def _spending_in_cache(key: str, ttl_s: int) -> Steps[bool]:
    """Whether the cache saw the value first; raises CacheUnavailable when it does not tell."""
    shared = shared_cache()
    if shared.runs_scripts:
        run = Run(SPEND, [shared.key(key)], [uuid.uuid4().hex, ttl_s * 1000])
        return bool((yield from ask(shared.run_all, run)))
    try:
        first: bool | None = caches[settings.cache_alias].add(key, 1, timeout=ttl_s)
    except Exception as error:  # whatever a cache client raises
        logger.warning("The cache did not keep a nonce (%s); the database does.", type(error).__name__)
        raise CacheUnavailable from error
    if first is None:  # django-redis gives None when it was told to ignore its errors
        raise CacheUnavailable
    return first


def _use_rows_for(ttl_s: int) -> None:
    global _rows_until_s
    with _rows_lock:
        _rows_until_s = max(_rows_until_s, time.monotonic() + ttl_s)


def _spend_row(key: str, ttl_s: int) -> bool:
    now = timezone.now()
    row = SpentNonce(key=key, expires_at=now + timedelta(seconds=ttl_s))
    if random.random() < SWEEP_CHANCE:  # noqa: S311 - when to tidy up is no secret
        SpentNonce.objects.filter(expires_at__lte=now).delete()
    else:
        SpentNonce.objects.filter(key=key, expires_at__lte=now).delete()
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return False
    return True
