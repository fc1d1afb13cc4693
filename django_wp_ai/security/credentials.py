"""Find live credentials; a process keeps what it found for ``CREDENTIAL_CACHE_S`` at most, so a revoked one stops."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any

from django_wp_ai.conf import settings
from django_wp_ai.models import Credential
from django_wp_ai.models.budget import attach_budgets
from django_wp_ai.models.tenant import normalise_url
from django_wp_ai.security import secrets

logger = logging.getLogger("django_wp_ai.security")

KEY_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
MAX_ENTRIES = 4096
PER_TENANT = 20  # live credentials of one tenant that a signature without a key id is tried against

Found = tuple[Credential, ...]


class FreshCache:
    """Results of look-ups for a moment; bounded, safe between threads, empty results kept too."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[str, ...], tuple[float, Found]] = OrderedDict()
        self._lock = Lock()

    def get(self, key: tuple[str, ...], load: Callable[[], Found]) -> Found:
        """The kept result if it is fresh, else what ``load`` finds now."""
        read_at = time.monotonic()
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and read_at - entry[0] < settings.credential_cache_s:
                return entry[1]
        found = load()
        with self._lock:
            self._entries[key] = (read_at, found)
            self._entries.move_to_end(key)
            while len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


fresh = FreshCache()


def _usable(found: Found) -> Found:
    return tuple(credential for credential in found if credential.is_live())


def _read(*, at_most: int, **criteria: Any) -> Found:
    """Live credentials from the database, newest first, with all that a call of their tenants must know of budgets."""
    rows = Credential.objects.live().filter(**criteria).select_related("tenant").order_by("-created_at")
    found = tuple(rows[:at_most])
    attach_budgets(credential.tenant for credential in found)
    return found


def _read_openable(*, at_most: int = PER_TENANT, **criteria: Any) -> Found:
    """Those whose secret our keys open: where several are tried, one lost key must not refuse all the others."""
    found = []
    for credential in _read(at_most=at_most, **criteria):
        try:
            if credential.secret_encrypted:
                secrets.decrypt(credential.secret_encrypted)
        except secrets.UndecryptableSecret as error:
            logger.error("Credential %s is left out. %s", credential.key_id, error)
        else:
            found.append(credential)
    return tuple(found)


def by_key_id(key_id: str, *, kinds: tuple[str, ...]) -> Credential | None:
    """The live credential with this key id and one of these kinds."""
    if not KEY_ID.fullmatch(key_id):
        return None
    found = _usable(fresh.get(("key", key_id), lambda: _read(at_most=1, key_id=key_id)))
    return found[0] if found and found[0].kind in kinds else None


def by_profile(profile: str, hint: str) -> Found:
    """Live credentials of a legacy profile, newest first; ``hint`` is a key id, tenant slug or site URL."""
    if KEY_ID.fullmatch(hint):
        for criteria in ({"key_id": hint}, {"tenant__slug": hint}):
            sought: dict[str, Any] = {"profile": profile, **criteria}
            hinted = fresh.get((profile, *criteria, hint), partial(_read_openable, **sought))
            if hinted:
                return _usable(hinted)
    if site := _site(hint):
        hinted = fresh.get((profile, "site", site), lambda: _read_openable(profile=profile, tenant__site_url=site))
        if hinted:
            return _usable(hinted)
    return _usable(fresh.get((profile,), partial(_read_openable, at_most=settings.legacy_candidates, profile=profile)))


def by_site(*, site: str, slug: str) -> Found:
    """Live JWT credentials of the tenant with this site URL, else of the one with this slug, newest first."""
    kinds = (Credential.Kind.JWT, Credential.Kind.PUBLIC_KEY)
    if url := _site(site):
        found = fresh.get(("site", url), lambda: _read_openable(kind__in=kinds, tenant__site_url=url))
        if found:
            return _usable(found)
    if KEY_ID.fullmatch(slug):
        return _usable(fresh.get(("slug", slug), lambda: _read_openable(kind__in=kinds, tenant__slug=slug)))
    return ()


def _site(text: str) -> str:
    """A comparable site URL, empty for what can't be one (or can't be asked of a database)."""
    if not text or len(text) > 500 or not text.isprintable():
        return ""
    try:
        return normalise_url(text)
    except ValueError:
        return ""
