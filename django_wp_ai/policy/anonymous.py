"""Failed authentication by address: who only guesses is told to wait, and leaves no more rows.

django-ratelimit counts here, in a fixed window, because being a few guesses off harms nobody: no guess of a 256-bit
secret succeeds, the limit only bounds the work and the rows that refusals cost. It fails open, since what decides is
the authentication itself.

A process learns that an address is blocked when it next fails there, so a call that authenticates costs no look-up.
Loopback is never blocked: behind it stands a proxy of this host whose clients can't be told apart.
"""

from __future__ import annotations

import logging
import threading
import time

from django.conf import settings as django_settings
from django_ratelimit.core import get_usage

from django_wp_ai.policy.addresses import network_of
from django_wp_ai.shared_cache import shared_cache

logger = logging.getLogger("django_wp_ai.policy")

FAILED_AUTH_RATE = "300/5m"
GROUP = "django_wp_ai.failed_auth"
MAX_BLOCKED = 10_000

_blocked_until_s: dict[str, float] = {}
_lock = threading.Lock()


def failed_auth_blocked(ip: str) -> float:
    """Seconds for which this process turns the address away; 0 for one that is welcome."""
    until_s = _blocked_until_s.get(_network(ip))
    return 0.0 if until_s is None else max(0.0, until_s - time.monotonic())


def note_failed_auth(ip: str, *, rate: str = FAILED_AUTH_RATE) -> None:
    """Count a failure; beyond ``rate`` (as django-ratelimit writes it) the address is blocked until its window ends."""
    network = _network(ip)
    if not network or not shared_cache(getattr(django_settings, "RATELIMIT_USE_CACHE", "default")).answers():
        return
    try:
        usage = get_usage(None, group=GROUP, key=lambda *_: network, rate=rate, increment=True)
    except Exception:  # whatever a cache client raises: a count less
        logger.warning("A failed authentication was not counted.", exc_info=True)
        return
    if usage is not None and usage["should_limit"] and usage["time_left"] > 0:
        _block(network, usage["time_left"])


def _block(network: str, seconds: float) -> None:
    now_s = time.monotonic()
    with _lock:
        if len(_blocked_until_s) >= MAX_BLOCKED:
            for other in [other for other, until_s in _blocked_until_s.items() if until_s <= now_s]:
                del _blocked_until_s[other]
        if len(_blocked_until_s) < MAX_BLOCKED:
            _blocked_until_s[network] = now_s + seconds


def _network(ip: str) -> str:
    """What is counted for an address; empty for loopback and for what is no address."""
    network = network_of(ip)
    return "" if network is None or network.is_loopback else str(network)
