"""Values that count once, in every process: nonces, one-time tokens, bodies of signatures without a timestamp.

The shared cache keeps them (one atomic ``add``). Where the cache is per process or in the database, or does not
answer, a row with a unique key does. This fails closed: without cache and without database no signed call passes.
"""

from __future__ import annotations

import hashlib
import logging
import random
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

logger = logging.getLogger("django_wp_ai.security")

SWEEP_CHANCE = 0.01


def is_shared(cache: BaseCache) -> bool:
    """Whether all processes of a site see the same entries."""
    return not isinstance(cache, (LocMemCache, DummyCache, FileBasedCache))


def _keeps_nonces(cache: BaseCache) -> bool:
    """Whether ``add`` has one winner and holds for the whole time; a database cache drops entries when it is full."""
    return is_shared(cache) and not isinstance(cache, DatabaseCache)


def spend(scope: str, value: str, *, ttl_s: int) -> bool:
    """True for the first caller with this value within ``ttl_s`` seconds, False for every other one."""
    key = hashlib.sha256(f"{scope}\x00{value}".encode("utf-8", "surrogatepass")).hexdigest()
    cache = caches[settings.cache_alias]
    if _keeps_nonces(cache):
        try:
            first = cache.add(f"django_wp_ai:nonce:{key}", 1, timeout=ttl_s)
        except Exception as error:  # noqa: BLE001 - whatever a cache client raises, the database decides then
            logger.warning("The cache did not keep a nonce (%s); the database does.", type(error).__name__)
        else:
            if first is not None:  # django-redis gives None when it was told to ignore its errors
                return bool(first)
    return _spend_row(key, ttl_s)


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
